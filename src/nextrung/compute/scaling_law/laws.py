"""Power laws of errors: straight lines through log10(error) over log10(frames)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.scaling_law import PowerLaw, RequiredSize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.models import Model
    from nextrung.schemas.scaling_law import ScaledProperty, ScalingPoint

#: Sizes that a line needs, and points from which its spread can be judged.
TWO_SIZES = 2
THREE_POINTS = 3
#: log10 of the number of frames beyond which no law is followed.
LARGEST_EXPONENT = 15

#: Times the largest size that was fitted up to which a law is read.
FARTHEST_EXTRAPOLATION = 100


@dataclass(frozen=True, eq=False)
class Curve:
    """Errors of one model at growing sizes.

    Parameters
    ----------
    sizes : ndarray of float, shape (n_points,)
        Training frames, above zero.
    errors : ndarray of float, shape (n_points,)
        Error at each size, above zero.
    """

    sizes: NDArray[np.float64]
    errors: NDArray[np.float64]


def select_curve(
    points: Sequence[ScalingPoint],
    model: Model,
    of: ScaledProperty,
    *,
    fit_above: float = 0,
) -> Curve:
    """Select what one model's law is fitted to.

    Parameters
    ----------
    points : sequence of ScalingPoint
        Errors of every run.
    model : Model
        Model of the curve.
    of : str
        Name of the error.
    fit_above : float
        Only larger sizes are selected.

    Returns
    -------
    Curve
        Sizes and errors, without those that are missing or zero.
    """
    known = sorted(
        (point.n_frames, getattr(point, of))
        for point in points
        if point.model == model and point.n_frames > fit_above and getattr(point, of)
    )
    sizes, errors = np.array(known, dtype=np.float64).reshape(-1, 2).T
    return Curve(sizes=sizes, errors=errors)


def fit_power_law(curve: Curve) -> PowerLaw:
    """Fit a straight line through log10(error) over log10(frames).

    Parameters
    ----------
    curve : Curve
        Errors at growing sizes.

    Returns
    -------
    PowerLaw
        Slope and intercept, or why there are none; the coefficient of determination
        for three points or more.
    """
    n_points, n_sizes = len(curve.sizes), len(np.unique(curve.sizes))
    if n_sizes < TWO_SIZES:
        return PowerLaw(
            n_points=n_points, error=f"a law needs two sizes to fit, got {n_sizes}"
        )
    x, y = np.log10(curve.sizes), np.log10(curve.errors)
    slope, intercept = solve_lines(x) @ y
    variation = np.sum((y - y.mean()) ** 2)
    unexplained = np.sum((y - slope * x - intercept) ** 2)
    judged = n_points >= THREE_POINTS and variation > 0
    return PowerLaw(
        slope=float(slope),
        intercept=float(intercept),
        r_squared=float(1 - unexplained / variation) if judged else None,
        n_points=n_points,
        largest_size=float(curve.sizes.max()),
    )


def solve_lines(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Build the matrix that turns values at x into a slope and an intercept.

    Parameters
    ----------
    x : ndarray of float, shape (n_points,)
        Where the values are.

    Returns
    -------
    ndarray of float, shape (2, n_points)
        Least-squares slope and intercept per unit of each value.
    """
    return np.linalg.pinv(np.column_stack([x, np.ones(len(x))]))


def size_for_error(law: PowerLaw, error_wanted: float, model: Model) -> RequiredSize:
    """Find the number of training frames that a law asks for an error.

    Parameters
    ----------
    law : PowerLaw
        Law of the error.
    error_wanted : float
        Error in the unit of the law.
    model : Model
        Model of the law.

    Returns
    -------
    RequiredSize
        Training frames, or why there is no number.
    """
    n_frames, reason = None, law.error
    if law.slope is not None and law.intercept is not None:
        if law.slope >= 0:
            reason = "the error does not fall with the number of frames"
        else:
            exponent = (np.log10(error_wanted) - law.intercept) / law.slope
            limit = _farthest_exponent(law)
            if exponent > limit:
                reason = (
                    f"more than {10**limit:,.0f} frames: farther than the fit tells"
                )
            else:
                n_frames = float(max(10**exponent, 1.0))
    return RequiredSize(
        model=model, error_wanted=error_wanted, n_frames=n_frames, error=reason
    )


def _farthest_exponent(law: PowerLaw) -> float:
    """Find up to which log10 of the number of frames a law is read."""
    if law.largest_size is None:
        return LARGEST_EXPONENT
    return float(np.log10(law.largest_size * FARTHEST_EXTRAPOLATION))
