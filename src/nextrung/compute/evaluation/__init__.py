"""Errors of predictions against labels, and against the errors of a baseline."""

from __future__ import annotations

from nextrung.compute.evaluation.scores import (
    find_new_formulas,
    score_predictions,
)

__all__ = ["find_new_formulas", "score_predictions"]
