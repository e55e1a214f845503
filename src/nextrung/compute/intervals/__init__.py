"""Intervals of mean errors, differences of models, and spread over repeats."""

from __future__ import annotations

from nextrung.compute.intervals.benchmark import (
    FRAME_QUANTITIES,
    TOTAL_ENERGIES,
    compare_benchmarks,
)
from nextrung.compute.intervals.differences import (
    PairedDifference,
    PairedErrors,
    adjust_holm,
)
from nextrung.compute.intervals.errors import (
    EVERY,
    SPLITS,
    Errors,
    ErrorsBySplit,
    ErrorTable,
    Repeat,
    collect_errors,
    select_compared,
    tabulate_errors,
)
from nextrung.compute.intervals.means import estimate_interval
from nextrung.compute.intervals.models import (
    BASELINE,
    SIGNIFICANCE,
    Comparison,
    ModelComparison,
)
from nextrung.compute.intervals.repeats import choose_best, summarise_repeats
from nextrung.compute.intervals.resampling import MIN_MATERIALS

__all__ = [
    "BASELINE",
    "EVERY",
    "FRAME_QUANTITIES",
    "MIN_MATERIALS",
    "SIGNIFICANCE",
    "SPLITS",
    "TOTAL_ENERGIES",
    "Comparison",
    "ErrorTable",
    "Errors",
    "ErrorsBySplit",
    "ModelComparison",
    "PairedDifference",
    "PairedErrors",
    "Repeat",
    "adjust_holm",
    "choose_best",
    "collect_errors",
    "compare_benchmarks",
    "estimate_interval",
    "select_compared",
    "summarise_repeats",
    "tabulate_errors",
]
