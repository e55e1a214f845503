"""95 % intervals of where fitted lines cross (Fieller's theorem [1]_).

References
----------
.. [1] E. C. Fieller, J. R. Stat. Soc. B 16, 175 (1954),
   doi 10.1111/j.2517-6161.1954.tb00159.x.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.scaling_law.lines import FittedLine

#: Probability below the upper end of an interval of 95 %.
_UPPER = 0.975


def bound_crossing(
    transfer: FittedLine, scratch: FittedLine
) -> tuple[float, float] | None:
    """Bound log10 of the frames above which training from scratch is better.

    Parameters
    ----------
    transfer, scratch : FittedLine
        Lines of the same error, with one residual degree of freedom or more each.

    Returns
    -------
    tuple of float or None
        Ends of the 95 % interval; infinite where the data allow any value. None where
        the lines cross the other way.

    Notes
    -----
    Each line has its own scatter; the degrees of freedom of their difference are those
    of Welch and Satterthwaite, from the variances of the slopes.
    """
    lines = (transfer, scratch)
    variances = np.array([line.covariance[0, 0] for line in lines])
    n_free = np.array([line.n_free for line in lines])
    total = variances.sum()
    shared = total**2 / (variances**2 / n_free).sum() if total > 0 else n_free.sum()
    covariance = transfer.covariance + scratch.covariance
    return _bound_root(transfer.line - scratch.line, covariance, float(shared))


def bound_size(law: FittedLine, error_wanted: float) -> tuple[float, float] | None:
    """Bound log10 of the frames above which a law is below an error.

    Parameters
    ----------
    law : FittedLine
        Line with one residual degree of freedom or more.
    error_wanted : float
        Error in the unit of the law.

    Returns
    -------
    tuple of float or None
        Ends of the 95 % interval; infinite where the data allow any value. None where
        the error rises.
    """
    distance = np.array([0.0, np.log10(error_wanted)]) - law.line
    return _bound_root(distance, law.covariance, law.n_free)


def _bound_root(
    line: NDArray[np.float64], covariance: NDArray[np.float64], n_free: float
) -> tuple[float, float] | None:
    """Bound where a line rises through zero; None where it falls for certain.

    These are all x at which slope * x + intercept is within t standard errors of zero,
    the solutions of a x² + 2 b x + c ≤ 0. Where the slope may be zero they lie outside
    of two roots, between which the line has one sign for certain: it rises through zero
    above the larger root if that sign is negative, below the smaller one if positive.
    """
    slope, intercept = line.tolist()
    width = stdtrit(n_free, _UPPER) ** 2
    a = slope**2 - width * covariance[0, 0]
    b = slope * intercept - width * covariance[0, 1]
    c = intercept**2 - width * covariance[1, 1]
    discriminant = b**2 - a * c
    if a > 0:
        half = np.sqrt(max(discriminant, 0.0))
        return None if slope < 0 else ((-b - half) / a, (-b + half) / a)
    if a == 0 or discriminant <= 0:
        return -np.inf, np.inf
    small, large = sorted((-b + sign * np.sqrt(discriminant)) / a for sign in (-1, 1))
    negative = slope * (small + large) / 2 + intercept < 0
    return (float(large), np.inf) if negative else (-np.inf, float(small))
