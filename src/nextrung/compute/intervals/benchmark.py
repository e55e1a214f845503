"""Intervals of the deviations of several potentials, and paired differences."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition

from nextrung.compute.intervals.differences import adjust_holm
from nextrung.compute.intervals.mean_differences import compare_paired
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

    from nextrung.schemas.benchmark import BenchmarkDoc, BenchmarkRecord
    from nextrung.schemas.evaluation import FrameResiduals

#: Quantities of labelled frames.
TOTAL_ENERGIES = "frames_energy"
FRAME_QUANTITIES = (TOTAL_ENERGIES, "frames_forces", "frames_stress")


@dataclass(frozen=True)
class _Error:
    """Deviation of one value from experiment or label."""

    deviation: float
    group: str  # values of one group are resampled together
    weight: float = 1.0  # in the mean

    @property
    def value(self) -> float:
        """Absolute deviation."""
        return abs(self.deviation)


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
        Means over all values of each model. Differences from the model whose largest
        paired difference from another one is smallest, each over the values that both
        have, but for total energies of models at different levels of theory. A leader
        where the differences of all other models from it are significant.
    """
    means: list[MeanInterval] = []
    biases: list[MeanInterval] = []
    differences: list[BenchmarkDifference] = []
    leaders: dict[str, str] = {}
    for quantity in (*BenchmarkProperty, *FRAME_QUANTITIES):
        found = {each.model: _collect(each, quantity) for each in models}
        known = {model: [*errors.values()] for model, errors in found.items() if errors}
        means += [
            _estimate(model, quantity, errors, values=[each.value for each in errors])
            for model, errors in known.items()
        ]
        biases += [
            _estimate(
                model, quantity, errors, values=[each.deviation for each in errors]
            )
            for model, errors in known.items()
            if quantity not in FRAME_QUANTITIES
        ]
        if quantity == TOTAL_ENERGIES and len({each.labels for each in models}) > 1:
            continue  # their zeros differ
        compared = _compare(quantity, found)
        differences += compared
        significant = [each for each in compared if each.significant]
        if len(models) > 1 and len(significant) == len(models) - 1:
            leaders[quantity] = significant[0].reference
    return BenchmarkComparison(
        means=means, biases=biases, differences=differences, leaders=leaders
    )


def _collect(score: BenchmarkDoc, quantity: str) -> _Errors:
    """Collect the absolute deviations of one quantity."""
    if quantity not in FRAME_QUANTITIES:
        return {
            row.crystal_id: _Error(row.deviation, _name_group(row))
            for row in score.rows
            if row.property == quantity and row.deviation is not None
        }
    return {} if score.frames is None else _collect_frames(score.frames.rows, quantity)


def _name_group(row: BenchmarkRecord) -> str:
    """Name the values that are resampled together: compounds of one anion.

    They share the error of its molecule, where a formation enthalpy is concerned.
    """
    if row.property is not BenchmarkProperty.FORMATION_ENTHALPY:
        return row.crystal_id
    elements = Composition(row.formula).elements
    return str(max(elements, key=lambda element: element.X))


def _collect_frames(rows: FrameResiduals, quantity: str) -> _Errors:
    """Collect the absolute errors of frames; forces are weighted by atoms."""
    values: Iterable[float | None] = rows.stress_mae
    weights: Sequence[float] = [1.0] * len(rows.frame_id)
    if quantity == TOTAL_ENERGIES:
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


def _estimate(
    model: str, quantity: str, errors: Sequence[_Error], *, values: Sequence[float]
) -> MeanInterval:
    """Estimate the mean of some values of a model, and its interval."""
    weights = [error.weight for error in errors]
    interval = estimate_interval(
        values, [error.group for error in errors], weights=weights
    )
    low, high = (None, None) if interval is None else interval
    return MeanInterval(
        model=model,
        quantity=quantity,
        mean=float(np.average(values, weights=weights)),
        low=low,
        high=high,
        n_values=len(errors),
    )


def _compare(quantity: str, found: Mapping[str, _Errors]) -> list[BenchmarkDifference]:
    """Compare the models with the one that no other has a much lower mean than."""
    lowest = min(found, key=lambda model: _find_worst(model, found))
    pairs = {
        model: _pair(errors, found[lowest])
        for model, errors in found.items()
        if model != lowest
    }
    compared = {
        model: compare_paired(
            [first.value for first, _ in pair],
            [second.value for _, second in pair],
            [second.group for _, second in pair],
            weights=[second.weight for _, second in pair],
        )
        for model, pair in pairs.items()
        if pair
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
            significant=each.low > 0 and p_adjusted < SIGNIFICANCE,
            n_values=len(pairs[model]),
        )
        for (model, each), p_adjusted in zip(known.items(), adjusted, strict=True)
    ]


def _pair(errors: _Errors, reference: _Errors) -> list[tuple[_Error, _Error]]:
    """Pair the values that two models have."""
    return [(errors[key], reference[key]) for key in errors if key in reference]


def _find_worst(model: str, found: Mapping[str, _Errors]) -> float:
    """Find the largest paired mean difference of a model from another one."""
    worst = -inf
    for other, errors in found.items():
        pairs = _pair(found[model], errors)
        if other == model or not pairs:
            continue
        total = sum(
            second.weight * (first.value - second.value) for first, second in pairs
        )
        worst = max(worst, total / sum(second.weight for _, second in pairs))
    return worst if worst > -inf else inf
