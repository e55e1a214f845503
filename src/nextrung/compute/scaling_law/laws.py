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

#: Distinct sizes that a fit needs, and points that R² and resampling need.
TWO_SIZES = 2
THREE_POINTS = 3
#: log10 of the number of frames beyond which no power law is extrapolated.
LARGEST_EXPONENT = 15
#: Largest extrapolation, as a multiple of the largest fitted size.
FARTHEST_EXTRAPOLATION = 100


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


def select_curve(
    points: Sequence[ScalingPoint],
    model: Model,
    of: ScaledProperty,
    *,
    fit_above: float = 0,
) -> Curve:
    """Select the points that the power law of one model is fitted to.

    Parameters
    ----------
    points : sequence of ScalingPoint
        Errors of every training.
    model : Model
        Model to select.
    of : str
        Name of the error.
    fit_above : float
        Select only sizes above this number of frames.

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
        Errors at increasing sizes.

    Returns
    -------
    PowerLaw
        Slope and intercept, or why there is no fit; R² for three or more points.
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
    has_r_squared = n_points >= THREE_POINTS and variation > 0
    return PowerLaw(
        slope=float(slope),
        intercept=float(intercept),
        r_squared=float(1 - unexplained / variation) if has_r_squared else None,
        n_points=n_points,
        largest_size=float(curve.sizes.max()),
    )


def solve_lines(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Build the matrix that maps values at x to least-squares slope and intercept.

    Parameters
    ----------
    x : ndarray of float, shape (n_points,)
        Positions of the values.

    Returns
    -------
    ndarray of float, shape (2, n_points)
        Slope and intercept per unit of each value.
    """
    return np.linalg.pinv(np.column_stack([x, np.ones(len(x))]))


def size_for_error(law: PowerLaw, error_wanted: float, model: Model) -> RequiredSize:
    """Find the number of training frames at which a power law reaches an error.

    Parameters
    ----------
    law : PowerLaw
        Power law of the error.
    error_wanted : float
        Error in the unit of the power law.
    model : Model
        Model of the power law.

    Returns
    -------
    RequiredSize
        Training frames, or why there is no number.
    """
    n_frames, reason = None, None
    limit = LARGEST_EXPONENT
    if law.largest_size is not None:
        limit = np.log10(law.largest_size * FARTHEST_EXTRAPOLATION)
    if law.slope is None or law.intercept is None:
        reason = law.error
    elif law.slope >= 0:
        reason = "the error does not fall with the number of frames"
    elif (exponent := (np.log10(error_wanted) - law.intercept) / law.slope) > limit:
        reason = f"more than {10**limit:,.0f} frames: beyond the range of the fit"
    else:
        n_frames = float(max(10**exponent, 1.0))
    return RequiredSize(
        model=model, error_wanted=error_wanted, n_frames=n_frames, error=reason
    )
