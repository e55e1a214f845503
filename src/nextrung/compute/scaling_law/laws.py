"""Power laws of errors: straight lines through log10(error) over log10(frames)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.scaling_law.intervals import bound_size
from nextrung.compute.scaling_law.lines import Curve, FittedLine
from nextrung.schemas.scaling_law import PowerLaw, RequiredSize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.models import Model
    from nextrung.schemas.scaling_law import ScaledProperty, ScalingPoint

#: Distinct sizes that a fit and a required size need; points that R² needs.
TWO_SIZES = 2
FOUR_SIZES = 4
THREE_POINTS = 3
#: log10 of the number of frames beyond which no power law is extrapolated.
LARGEST_EXPONENT = 15
#: Multiples of the largest fitted size above which a size is called extrapolated, and
#: above which there is none.
FAR_EXTRAPOLATION = 10
FARTHEST_EXTRAPOLATION = 100


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
    slope, intercept = FittedLine.fit(curve).line
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


def size_for_error(curve: Curve, error_wanted: float, model: Model) -> RequiredSize:
    """Find the number of training frames at which a power law reaches an error.

    Parameters
    ----------
    curve : Curve
        Errors that the power law is fitted to.
    error_wanted : float
        Error in the unit of the power law.
    model : Model
        Model of the power law.

    Returns
    -------
    RequiredSize
        Training frames and their 95 % interval, or why there is no number.
    """
    law = fit_power_law(curve)
    n_sizes = len(np.unique(curve.sizes))
    if n_sizes < FOUR_SIZES:
        return _describe_unknown(
            model,
            error_wanted,
            f"needs {FOUR_SIZES} sizes to extrapolate, got {n_sizes}",
        )
    if law.slope is None or law.intercept is None or law.slope >= 0:
        reason = "the error does not fall with the number of frames"
        return _describe_unknown(model, error_wanted, reason)
    largest = float(curve.sizes.max())
    exponent = (np.log10(error_wanted) - law.intercept) / law.slope
    if exponent > np.log10(largest * FARTHEST_EXTRAPOLATION):
        farthest = largest * FARTHEST_EXTRAPOLATION
        reason = f"more than {farthest:,.0f} frames: beyond the range of the fit"
        return _describe_unknown(model, error_wanted, reason)
    low, high = as_frames(bound_size(FittedLine.fit(curve), error_wanted))
    n_frames = float(max(10**exponent, 1.0))
    return RequiredSize(
        model=model,
        error_wanted=error_wanted,
        n_frames=n_frames,
        low=low,
        high=high,
        extrapolated=n_frames > FAR_EXTRAPOLATION * largest,
    )


def is_out_of_reach(curve: Curve, error_wanted: float, n_frames: float) -> bool:
    """Check whether a power law needs more frames than there can be.

    Parameters
    ----------
    curve : Curve
        Errors that the power law is fitted to.
    error_wanted : float
        Error in the unit of the power law.
    n_frames : float
        Most training frames that there can be.

    Returns
    -------
    bool
        True only if no size up to ``n_frames`` is in the 95 % interval of the required
        size: where four sizes or more determine it, and its lower end is larger, or the
        error rises for certain.
    """
    if len(np.unique(curve.sizes)) < FOUR_SIZES:
        return False
    ends = bound_size(FittedLine.fit(curve), error_wanted)
    return ends is None or bool(ends[0] > np.log10(n_frames))


def as_frames(
    exponents: tuple[float, float] | None,
) -> tuple[float | None, float | None]:
    """Convert the ends of an interval from log10 of frames.

    Parameters
    ----------
    exponents : tuple of float or None
        Ends; None without interval.

    Returns
    -------
    tuple of (float or None)
        Ends in frames, the lower one 1 or more; None without interval, and for an
        infinite upper end.
    """
    if exponents is None:
        return None, None
    low, high = (min(max(end, 0.0), LARGEST_EXPONENT) for end in exponents)
    return 10**low, None if high == LARGEST_EXPONENT else 10**high


def _describe_unknown(model: Model, error_wanted: float, reason: str) -> RequiredSize:
    """Build the record of an error whose size is unknown."""
    return RequiredSize(
        model=model, error_wanted=error_wanted, n_frames=None, error=reason
    )
