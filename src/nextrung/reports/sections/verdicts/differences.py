"""Relative differences of errors on the same materials, with 95 % intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from nextrung.compute.intervals import Comparison

#: Relative differences below this are rounding.
ROUNDING = 1e-6

#: A ratio of errors above this says that the other error is zero.
_LARGEST = 1e6


class Difference(NamedTuple):
    """Mean error of one model relative to that of another on the same materials.

    Parameters
    ----------
    relative : float
        First mean error divided by the second, less one.
    low, high : float
        Ends of the 95 % interval of the relative difference.
    n_repeats : int
        Repeats compared.
    is_significant : bool
        Whether it stays significant after Holm's adjustment for the number of models
        that are compared.
    """

    relative: float
    low: float
    high: float
    n_repeats: int = 1
    is_significant: bool = True

    @classmethod
    def of(cls, comparison: Comparison) -> Self:
        """Build the relative difference of a comparison.

        Parameters
        ----------
        comparison : Comparison
            The comparison.
        """
        found = comparison.found
        return cls(
            found.ratio - 1,
            found.low - 1,
            found.high - 1,
            found.n_repeats,
            comparison.is_significant,
        )

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
        if self.relative > _LARGEST:
            return "the other error is zero"
        middle, low, high = (
            f"{100 * value:+,.0f}".replace("-", "\N{MINUS SIGN}")
            if value <= _LARGEST
            else "infinity"
            for value in (self.relative, self.low, self.high)
        )
        return f"{middle} % ({low} to {high})"
