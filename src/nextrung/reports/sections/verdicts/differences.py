"""Paired differences of errors on the same materials, with 95 % intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nextrung.compute.intervals import estimate_interval

if TYPE_CHECKING:
    from collections.abc import Sequence


class Difference(NamedTuple):
    """Mean error of one model minus that of another on the same materials.

    Parameters
    ----------
    mean : float
        The difference in stored units.
    low, high : float
        Ends of its 95 % interval.
    reference : float
        Mean error of the other model.
    """

    mean: float
    low: float
    high: float
    reference: float

    @property
    def is_lower(self) -> bool:
        """Whether the error is lower: the whole interval is below zero."""
        return self.high < 0

    @property
    def is_higher(self) -> bool:
        """Whether the error is higher: the whole interval is above zero."""
        return self.low > 0

    def format(self) -> str:
        """Format the relative difference and its interval in per cent."""
        if not self.reference:
            return "the other error is zero"
        parts = [
            f"{100 * value / self.reference:+.0f}".replace("-", "\N{MINUS SIGN}")
            for value in (self.mean, self.low, self.high)
        ]
        return f"{parts[0]} % ({parts[1]} to {parts[2]})"


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
    if not material_ids:
        return None
    a, b = np.asarray(values_a, dtype=float), np.asarray(values_b, dtype=float)
    interval = estimate_interval(a - b, material_ids, weights=weights)
    if interval is None:
        return None
    mean, reference = (
        float(np.average(values, weights=weights)) for values in (a - b, b)
    )
    return Difference(mean, *interval, reference)
