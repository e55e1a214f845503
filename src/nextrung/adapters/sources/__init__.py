"""Readers of label sources: VASP runs, JSON, task documents, ASE files."""

from __future__ import annotations
