"""Decomposition energies of entries, and stability scores of a model."""

from __future__ import annotations

from nextrung.compute.stability.decomposition import Decomposition, decompose
from nextrung.compute.stability.entries import EntryTable
from nextrung.compute.stability.records import score_decomposition
from nextrung.compute.stability.rescoring import rescore_decomposition
from nextrung.compute.stability.scores import score_stability

__all__ = [
    "Decomposition",
    "EntryTable",
    "decompose",
    "rescore_decomposition",
    "score_decomposition",
    "score_stability",
]
