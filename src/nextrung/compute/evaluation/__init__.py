"""Errors of predictions against labels, and against the errors of a baseline."""

from __future__ import annotations

from nextrung.compute.evaluation.scores import score_predictions
from nextrung.compute.evaluation.subsets import find_new_formulas

__all__ = ["find_new_formulas", "score_predictions"]
