"""Straight lines through log10(error) over log10(frames)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Curve:
    """Errors of one model at increasing training set sizes.

    Parameters
    ----------
    sizes : ndarray of float, shape (n_points,)
        Training frames, above zero.
    errors : ndarray of float, shape (n_points,)
        Error at each size, above zero.
    """

    sizes: NDArray[np.float64]
    errors: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedLine:
    """Least-squares line through log10(error) over log10(frames), and its scatter.

    Parameters
    ----------
    line : ndarray of float, shape (2,)
        Slope and intercept.
    covariance : ndarray of float, shape (2, 2)
        Covariance of slope and intercept; NaN without residual degrees of freedom.
    n_free : int
        Points minus the two fitted parameters.
    """

    line: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n_free: int

    @classmethod
    def fit(cls, curve: Curve) -> FittedLine:
        """Fit the line of a curve.

        Parameters
        ----------
        curve : Curve
            Errors at two or more sizes.
        """
        x, y = np.log10(curve.sizes), np.log10(curve.errors)
        design = np.column_stack([x, np.ones(len(x))])
        inverse = np.linalg.inv(design.T @ design)
        line = inverse @ design.T @ y
        n_free = len(x) - len(line)
        squares = float(np.sum((y - design @ line) ** 2))
        return cls(line, (squares / n_free if n_free else np.nan) * inverse, n_free)
