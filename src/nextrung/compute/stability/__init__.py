"""Decomposition energies of all entries of a table, and scores of a model's hull."""

from __future__ import annotations

from nextrung.compute.stability.decomposition import (
    decompose,
    score_decomposition,
)
from nextrung.compute.stability.entries import EntryTable

__all__ = ["EntryTable", "decompose", "score_decomposition"]
