"""Paired differences of errors on the same materials, with 95 % intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nextrung.compute.intervals import compare_paired

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Relative differences below this are rounding.
ROUNDING = 1e-6


class Difference(NamedTuple):
    """Mean error of one model relative to that of another on the same materials.

    Parameters
    ----------
    mean : float
        First minus second mean error in stored units.
    relative : float
        The same divided by the second; NaN where that is zero.
    low, high : float
        Ends of the 95 % interval of the relative difference.
    is_significant : bool
        Whether it stays significant after Holm's adjustment for the number of models
        that are compared, where that was computed.
    """

    mean: float
    relative: float
    low: float
    high: float
    is_significant: bool = True

    @property
    def is_lower(self) -> bool:
        """Whether the error is lower: the whole interval is below zero."""
        return self.is_significant and self.high < 0 and self.relative < -ROUNDING

    @property
    def is_higher(self) -> bool:
        """Whether the error is higher: the whole interval is above zero."""
        return self.is_significant and self.low > 0 and self.relative > ROUNDING

    def format(self) -> str:
        """Format the relative difference and its interval in per cent."""
        if np.isnan(self.relative):
            return "the other error is zero"
        middle, low, high = (
            f"{100 * value:+.0f}".replace("-", "\N{MINUS SIGN}")
            for value in (self.relative, self.low, self.high)
        )
        return f"{middle} % ({low} to {high})"


def paired_difference(
    values_a: Sequence[float],
    values_b: Sequence[float],
    material_ids: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
) -> Difference | None:
    """Compute the relative difference of two mean errors, and its interval.

    Parameters
    ----------
    values_a, values_b : sequence of float, shape (n,)
        Errors of two models, each pair on the same frame or material; none below zero.
    material_ids : sequence of str, shape (n,)
        Material of each pair; pairs of one material are resampled together.
    weights : sequence of float, shape (n,), optional
        Weight of each pair in both means; equal by default.

    Returns
    -------
    Difference or None
        First relative to second mean; None below five materials.

    Notes
    -----
    The interval is that of the ratio of both means, to first order: of the mean of
    ``a - ratio * b``, divided by the mean of ``b``. An error cannot fall by more than
    all of it, so that no end is below -1.
    """
    if not material_ids:
        return None
    first, second = np.asarray(values_a, float), np.asarray(values_b, float)
    other = float(np.average(second, weights=weights))
    mean = float(np.average(first - second, weights=weights))
    ratio = mean / other + 1 if other else np.nan
    scaled = second * ratio if other else second
    found = compare_paired(first, scaled, material_ids, weights=weights)
    if found is None:
        return None
    if not other:
        return Difference(mean, np.nan, np.nan, np.nan)
    low, high = (
        max(-1.0, ratio - 1 + (end - found.difference) / other)
        for end in (found.low, found.high)
    )
    return Difference(mean, ratio - 1, low, high)
