"""Readers of VASP runs: discovery, OUTCAR, vasprun.xml and task documents."""

from __future__ import annotations
