"""Paired differences of means over the same materials, and their p-values."""

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


class MeanDifference(NamedTuple):
    """Difference of two means over the same materials.

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
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> MeanDifference | None:
    """Compare the values of two models on the same materials.

    Parameters
    ----------
    values_a, values_b : array_like of float, shape (n,)
        Values of the first and of the second model, each pair of the same frame or
        material.
    material_ids : sequence of str, shape (n,)
        Material of each pair.
    weights : array_like of float, shape (n,), optional
        Weight of each pair in both means; equal by default.
    seed : int
        Random seed.

    Returns
    -------
    MeanDifference or None
        Difference, interval and p-value; None below five materials. The interval holds
        zero exactly where the p-value is 0.05 or more.

    Raises
    ------
    InputError
        If the numbers of values and materials differ.
    """
    lengths = {len(np.atleast_1d(values_a)), len(np.atleast_1d(values_b))}
    lengths |= {len(material_ids)}
    if len(lengths) > 1:
        raise InputError(
            "paired values: expected as many of both models as materials, got "
            f"{sorted(lengths)}"
        )
    sample = Sample.of(
        np.asarray(values_a, dtype=np.float64) - np.asarray(values_b),
        material_ids,
        weights=weights,
    )
    resampled = resample_mean(sample, n_resamples=N_RESAMPLES, seed=seed)
    if resampled is None:
        return None
    low, high = resampled.interval
    return MeanDifference(resampled.mean, low, high, resampled.p_value)
