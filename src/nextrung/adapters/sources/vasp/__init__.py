"""VASP runs: which files are runs, OUTCAR, vasprun.xml and the tasks of a run."""

from __future__ import annotations
