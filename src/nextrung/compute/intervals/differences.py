"""Paired differences of the errors of two models, and their p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nextrung.compute.intervals.resampling import Sample, resample_mean
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

#: Number of resamples: p-values down to 0.001 before they are adjusted.
N_RESAMPLES = 4000


class PairedDifference(NamedTuple):
    """Difference of two means over the same materials and repeats.

    Parameters
    ----------
    difference : float
        Mean of the first minus mean of the second.
    low, high : float
        Ends of the 95 % interval.
    p_value : float
        Two-sided p-value of no difference.
    """

    difference: float
    low: float
    high: float
    p_value: float


def compare_paired(
    values_a: ArrayLike,
    values_b: ArrayLike,
    material_ids: Sequence[str],
    *,
    repeat_ids: Sequence[object] | None = None,
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> PairedDifference | None:
    """Compare the errors of two models on the same materials and repeats.

    Parameters
    ----------
    values_a, values_b : array_like of float, shape (n,)
        Errors of the first and of the second model, each pair on the same frame or
        material in the same repeat.
    material_ids : sequence of str, shape (n,)
        Material of each pair.
    repeat_ids : sequence, shape (n,), optional
        Repeat of each pair: a seed of the training, or of the split; where splits are
        repeated, the split, since its trainings share their data. One by default.
    weights : array_like of float, shape (n,), optional
        Weight of each pair in both means; equal by default.
    seed : int
        Random seed.

    Returns
    -------
    PairedDifference or None
        Difference, interval and p-value; None below five materials. The interval holds
        zero exactly where the p-value is 0.05 or more.

    Raises
    ------
    InputError
        If the numbers of values, materials and repeats differ.

    Notes
    -----
    The interval is of the mean over all materials and repeats, of which these are a
    sample. With one repeat it says nothing of other seeds and splits.
    """
    lengths = {len(np.atleast_1d(values_a)), len(np.atleast_1d(values_b))}
    lengths |= {len(material_ids)}
    lengths |= set() if repeat_ids is None else {len(repeat_ids)}
    if len(lengths) > 1:
        raise InputError(
            "paired errors: expected as many values of both models as materials and "
            f"repeats, got {sorted(lengths)}"
        )
    sample = Sample.of(
        np.asarray(values_a, dtype=np.float64) - np.asarray(values_b),
        material_ids,
        repeat_ids=repeat_ids,
        weights=weights,
    )
    resampled = resample_mean(sample, n_resamples=N_RESAMPLES, seed=seed)
    if resampled is None:
        return None
    low, high = resampled.interval
    return PairedDifference(resampled.mean, low, high, resampled.p_value)


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of comparisons, after Holm.

    Parameters
    ----------
    p_values : sequence of float
        Probabilities of one family of comparisons.

    Returns
    -------
    list of float
        Adjusted p-values in the order given; those below 0.05 are significant with a
        probability of at most 5 % that any of them is by chance.
    """
    n_tests = len(p_values)
    order = sorted(range(n_tests), key=lambda test: p_values[test])
    adjusted = [1.0] * n_tests
    largest = 0.0
    for rank, test in enumerate(order):
        largest = max(largest, min(1.0, (n_tests - rank) * p_values[test]))
        adjusted[test] = largest
    return adjusted
