"""Paired differences of errors on the same materials, with 95 % intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nextrung.compute.intervals import MIN_MATERIALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Resamples per interval, and how many are drawn at a time.
_N_RESAMPLES, _BATCH = 1000, 100

#: Quantiles of a 95 % interval.
_ENDS = (0.025, 0.975)

#: Relative differences below this are rounding.
_ROUNDING = 1e-6


class Difference(NamedTuple):
    """Mean error of one model minus that of another on the same materials.

    Parameters
    ----------
    mean : float
        The difference in stored units.
    low, high : float
        Ends of its 95 % interval.
    relative, relative_low, relative_high : float
        The same divided by the mean error of the other model, which varies over the
        resamples too; infinite or NaN where it is zero, also in a resample.
    """

    mean: float
    low: float
    high: float
    relative: float
    relative_low: float
    relative_high: float

    @property
    def is_lower(self) -> bool:
        """Whether the error is lower: the whole interval is below zero."""
        return self.high < 0 and not abs(self.relative) < _ROUNDING

    @property
    def is_higher(self) -> bool:
        """Whether the error is higher: the whole interval is above zero."""
        return self.low > 0 and not abs(self.relative) < _ROUNDING

    def format(self) -> str:
        """Format the relative difference and its interval in per cent."""
        shown = (self.relative, self.relative_low, self.relative_high)
        if not np.isfinite(shown).all():
            return "the other error is zero"
        middle, low, high = (
            f"{100 * value:+.0f}".replace("-", "\N{MINUS SIGN}") for value in shown
        )
        return f"{middle} % ({low} to {high})"


def paired_difference(
    values_a: Sequence[float],
    values_b: Sequence[float],
    material_ids: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
) -> Difference | None:
    """Compute the difference of two mean errors by a bootstrap over materials.

    Parameters
    ----------
    values_a, values_b : sequence of float, shape (n,)
        Errors of two models, each pair on the same frame or material.
    material_ids : sequence of str, shape (n,)
        Material of each pair; pairs of one material are resampled together.
    weights : sequence of float, shape (n,), optional
        Weight of each pair in both means; equal by default.

    Returns
    -------
    Difference or None
        First minus second mean; None below five materials.
    """
    _, materials = np.unique(np.asarray(material_ids), return_inverse=True)
    weighed = np.ones(len(materials)) if weights is None else np.asarray(weights)
    if materials.max(initial=-1) + 1 < MIN_MATERIALS:
        return None
    columns = (values_a, values_b, np.ones(len(materials)))
    by_material = [
        np.bincount(materials, weights=np.asarray(column, dtype=float) * weighed)
        for column in columns
    ]
    sums = np.stack(by_material, axis=1).astype(np.float64)
    (mean,), (relative,) = _compare(sums.sum(axis=0, keepdims=True))
    differences, ratios = _compare(_resample(sums))
    low, high = np.quantile(differences, _ENDS)
    ends = np.quantile(ratios, _ENDS) if np.isfinite(ratios).all() else (np.nan,) * 2
    relative_low, relative_high = ends
    found = (mean, low, high, relative, relative_low, relative_high)
    return Difference(*map(float, found))


def _compare(
    sums: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute difference and relative difference from sums of errors and weights."""
    first, second, weight = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return (first - second) / weight, (first - second) / second


def _resample(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Resample materials with replacement; sums of shape (n_resamples, 3)."""
    rng = np.random.default_rng(0)
    n_materials = len(sums)
    even = np.full(n_materials, 1 / n_materials)
    draws = (
        rng.multinomial(n_materials, even, size=_BATCH) @ sums
        for _ in range(_N_RESAMPLES // _BATCH)
    )
    return np.concatenate(list(draws))
