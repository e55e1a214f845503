"""Intervals of the deviations of several potentials, and paired differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextrung.compute.intervals.differences import adjust_holm, compare_paired
from nextrung.compute.intervals.means import estimate_interval
from nextrung.compute.intervals.models import SIGNIFICANCE
from nextrung.schemas.benchmark import (
    BenchmarkComparison,
    BenchmarkDifference,
    BenchmarkProperty,
    MeanInterval,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nextrung.schemas.benchmark import BenchmarkDoc
    from nextrung.schemas.evaluation import FrameResiduals

#: Quantities of labelled frames.
FRAME_QUANTITIES = ("frames_energy", "frames_forces", "frames_stress")


@dataclass(frozen=True)
class _Error:
    """Absolute deviation of one value, its material, and its weight in the mean."""

    value: float
    material_id: str
    weight: float = 1.0


#: Errors of one model and one quantity, by crystal or frame.
_Errors = dict[str, _Error]


def compare_benchmarks(models: Sequence[BenchmarkDoc]) -> BenchmarkComparison:
    """Compare the mean absolute deviations of models.

    Parameters
    ----------
    models : sequence of BenchmarkDoc
        Results of models of different names.

    Returns
    -------
    BenchmarkComparison
        Means over all values of each model; differences, paired by material, over the
        values that all models have; a leader where every difference from it is
        significant.
    """
    means: list[MeanInterval] = []
    differences: list[BenchmarkDifference] = []
    leaders: dict[str, str] = {}
    n_common: dict[str, int] = {}
    for quantity in (*BenchmarkProperty, *FRAME_QUANTITIES):
        found = {each.model: _collect(each, quantity) for each in models}
        found = {model: errors for model, errors in found.items() if errors}
        means += [
            _estimate(model, quantity, list(errors.values()))
            for model, errors in found.items()
        ]
        if not found:
            continue
        common = set.intersection(*(set(errors) for errors in found.values()))
        n_common[quantity] = len(common)
        compared = _compare(quantity, found, sorted(common))
        differences += compared
        if compared and all(each.p_adjusted < SIGNIFICANCE for each in compared):
            leaders[quantity] = compared[0].reference
    return BenchmarkComparison(
        means=means, differences=differences, leaders=leaders, n_common=n_common
    )


def _collect(score: BenchmarkDoc, quantity: str) -> _Errors:
    """Collect the absolute deviations of one quantity."""
    if quantity not in FRAME_QUANTITIES:
        return {
            row.crystal_id: _Error(abs(row.deviation), row.crystal_id)
            for row in score.rows
            if row.property == quantity and row.deviation is not None
        }
    return {} if score.frames is None else _collect_frames(score.frames.rows, quantity)


def _collect_frames(rows: FrameResiduals, quantity: str) -> _Errors:
    """Collect the absolute errors of frames; forces are weighted by atoms."""
    values: Iterable[float | None] = rows.stress_mae
    weights: Sequence[float] = [1.0] * len(rows.frame_id)
    if quantity == "frames_energy":
        values = (
            None if label is None else abs(predicted - label)
            for label, predicted in zip(
                rows.energy_per_atom, rows.predicted_energy_per_atom, strict=True
            )
        )
    elif quantity == "frames_forces":
        values, weights = rows.forces_mae, rows.n_atoms
    return {
        frame_id: _Error(value, material_id, weight)
        for frame_id, material_id, value, weight in zip(
            rows.frame_id, rows.material_id, values, weights, strict=True
        )
        if value is not None
    }


def _estimate(model: str, quantity: str, errors: Sequence[_Error]) -> MeanInterval:
    """Estimate the mean of a model and its interval."""
    weights = [error.weight for error in errors]
    total = sum(error.weight * error.value for error in errors)
    interval = estimate_interval(
        [error.value for error in errors],
        [error.material_id for error in errors],
        weights=weights,
    )
    low, high = (None, None) if interval is None else interval
    return MeanInterval(
        model=model,
        quantity=quantity,
        mae=total / sum(weights),
        low=low,
        high=high,
        n_values=len(errors),
    )


def _compare(
    quantity: str, found: Mapping[str, _Errors], common: Sequence[str]
) -> list[BenchmarkDifference]:
    """Compare the models with the one of the lowest mean over common values."""
    if not common:
        return []
    means = {
        model: _estimate(model, quantity, [errors[key] for key in common]).mae
        for model, errors in found.items()
    }
    lowest = min(means, key=means.__getitem__)
    reference = [found[lowest][key] for key in common]
    compared = {
        model: compare_paired(
            [errors[key].value for key in common],
            [error.value for error in reference],
            [error.material_id for error in reference],
            weights=[error.weight for error in reference],
        )
        for model, errors in found.items()
        if model != lowest
    }
    known = {model: each for model, each in compared.items() if each is not None}
    adjusted = adjust_holm([each.p_value for each in known.values()])
    return [
        BenchmarkDifference(
            quantity=quantity,
            model=model,
            reference=lowest,
            difference=each.difference,
            low=each.low,
            high=each.high,
            p_adjusted=p_adjusted,
            n_values=len(common),
        )
        for (model, each), p_adjusted in zip(known.items(), adjusted, strict=True)
    ]
