"""Intervals of mean errors, differences of models, and spread over repeats."""

from __future__ import annotations

from nextrung.compute.intervals.benchmark import (
    FRAME_QUANTITIES,
    TOTAL_ENERGIES,
    compare_benchmarks,
)
from nextrung.compute.intervals.differences import (
    PairedDifference,
    adjust_holm,
    compare_paired,
)
from nextrung.compute.intervals.means import estimate_interval
from nextrung.compute.intervals.models import (
    SIGNIFICANCE,
    FrameErrors,
    Repeat,
    collect_errors,
    compare_models,
)
from nextrung.compute.intervals.repeats import choose_best, summarise_repeats
from nextrung.compute.intervals.resampling import MIN_MATERIALS

__all__ = [
    "FRAME_QUANTITIES",
    "MIN_MATERIALS",
    "SIGNIFICANCE",
    "TOTAL_ENERGIES",
    "FrameErrors",
    "PairedDifference",
    "Repeat",
    "adjust_holm",
    "choose_best",
    "collect_errors",
    "compare_benchmarks",
    "compare_models",
    "compare_paired",
    "estimate_interval",
    "summarise_repeats",
]
