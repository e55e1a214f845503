"""How errors fall with the number of training frames, and where two laws meet.

Errors are fitted as straight lines through log10(error) over log10(frames) [1]_.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   figure 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.models import RECIPES, Model
from nextrung.schemas.scaling_law import (
    Crossing,
    PowerLaw,
    PropertyScaling,
    RequiredSize,
    ScalingLawScore,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.scaling_law import (
        ScaledProperty,
        ScalingLawSettings,
        ScalingPoint,
    )

#: Sizes that a line needs, and points from which its spread can be judged.
TWO_SIZES = 2
THREE_POINTS = 3
#: log10 of the number of frames beyond which no law is followed.
LARGEST_EXPONENT = 15
#: Quantiles of the resamples that bound the interval of a crossing.
INTERVAL = (0.025, 0.975)


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


def score_scaling_law(
    points: Sequence[ScalingPoint], settings: ScalingLawSettings
) -> ScalingLawScore:
    """Fit the errors of all models, and compare transfer with training from scratch.

    Parameters
    ----------
    points : sequence of ScalingPoint
        Errors of every run.
    settings : ScalingLawSettings
        Which sizes are fitted, and which errors are wanted.

    Returns
    -------
    ScalingLawScore
        The points, and the laws of energies and forces.
    """
    energy_maes, forces_maes = settings.target_energy_maes, settings.target_forces_maes
    return ScalingLawScore(
        points=list(points),
        laws={
            "energy_mae": _scale("energy_mae", points, settings, wanted=energy_maes),
            "forces_mae": _scale("forces_mae", points, settings, wanted=forces_maes),
        },
    )


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
            n_points=n_points, error=f"a law needs two sizes to fit, met {n_sizes}"
        )
    x, y = np.log10(curve.sizes), np.log10(curve.errors)
    slope, intercept = _solve_lines(x) @ y
    variation = np.sum((y - y.mean()) ** 2)
    unexplained = np.sum((y - slope * x - intercept) ** 2)
    judged = n_points >= THREE_POINTS and variation > 0
    return PowerLaw(
        slope=float(slope),
        intercept=float(intercept),
        r_squared=float(1 - unexplained / variation) if judged else None,
        n_points=n_points,
    )


def find_crossing(transfer: PowerLaw, scratch: PowerLaw) -> Crossing:
    """Find the number of frames from which training from scratch is ahead.

    Parameters
    ----------
    transfer, scratch : PowerLaw
        Laws of the same error.

    Returns
    -------
    Crossing
        Frames at the crossing, or why there is none.
    """
    for name, law in (("transfer", transfer), ("training from scratch", scratch)):
        if law.error:
            return Crossing(error=f"no law of {name}: {law.error}")
    exponent = float(_cross(_as_line(transfer), _as_line(scratch)))
    if exponent == np.inf:
        return Crossing(error=f"transfer is ahead up to 1e{LARGEST_EXPONENT} frames")
    if exponent == -np.inf:
        return Crossing(error="training from scratch is ahead from the first frame on")
    return Crossing(n_frames=10**exponent)


def resample_crossing(
    transfer: Curve, scratch: Curve, *, n_bootstrap: int, seed: int
) -> NDArray[np.float64]:
    """Find the crossing of laws fitted to errors as they could have been.

    Parameters
    ----------
    transfer, scratch : Curve
        Errors that were fitted, at three sizes or more each.
    n_bootstrap : int
        Resamples to draw.
    seed : int
        Seed of the draws.

    Returns
    -------
    ndarray of float, shape (n_bootstrap,)
        Frames at the crossing; infinite where transfer stays ahead, zero where it
        never is.

    Notes
    -----
    Residuals of each line are drawn with replacement, enlarged for the two parameters
    that were fitted, and added to the line again.
    """
    rng = np.random.default_rng(seed)
    lines = [_resample_lines(curve, n_bootstrap, rng) for curve in (transfer, scratch)]
    crossings: NDArray[np.float64] = 10.0 ** _cross(*lines)
    return crossings


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
            if exponent > LARGEST_EXPONENT:
                reason = f"more than 1e{LARGEST_EXPONENT} frames"
            else:
                n_frames = float(max(10**exponent, 1.0))
    return RequiredSize(
        model=model, error_wanted=error_wanted, n_frames=n_frames, error=reason
    )


def _scale(
    of: ScaledProperty,
    points: Sequence[ScalingPoint],
    settings: ScalingLawSettings,
    *,
    wanted: Sequence[float],
) -> PropertyScaling:
    """Fit the laws of one error, and read crossing and sizes off them."""
    curves = {
        model: select_curve(points, model, of, fit_above=settings.fit_above)
        for model in settings.models
    }
    laws = {model: fit_power_law(curve) for model, curve in curves.items()}
    return PropertyScaling(
        laws={model.value: law for model, law in laws.items()},
        crossing=_compare_with_scratch(curves, laws, settings),
        required_sizes=[
            size_for_error(law, error, model)
            for error in wanted
            for model, law in laws.items()
        ],
    )


def _compare_with_scratch(
    curves: Mapping[Model, Curve],
    laws: Mapping[Model, PowerLaw],
    settings: ScalingLawSettings,
) -> Crossing:
    """Find where the first pretrained model meets training from scratch."""
    pretrained = [model for model in settings.models if RECIPES[model].pretrained]
    if not pretrained or Model.SCRATCH not in laws:
        return Crossing(error="one pretrained model and scratch are needed to cross")
    pair = (pretrained[0], Model.SCRATCH)
    crossing = find_crossing(laws[pair[0]], laws[pair[1]])
    if min(laws[model].n_points for model in pair) < THREE_POINTS:
        return crossing
    if settings.n_bootstrap == 0:
        return crossing
    resampled = resample_crossing(
        curves[pair[0]],
        curves[pair[1]],
        n_bootstrap=settings.n_bootstrap,
        seed=settings.seed,
    )
    low, high = np.quantile(resampled, INTERVAL, method="inverted_cdf").tolist()
    return crossing.model_copy(
        update={
            "low": low if np.isfinite(low) else None,
            "high": high if np.isfinite(high) else None,
            "n_resamples": settings.n_bootstrap,
            "n_crossing": int((np.isfinite(resampled) & (resampled > 0)).sum()),
        }
    )


def _solve_lines(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Build the matrix that turns values at x into a slope and an intercept."""
    return np.linalg.pinv(np.column_stack([x, np.ones(len(x))]))


def _as_line(law: PowerLaw) -> NDArray[np.float64]:
    """Put slope and intercept of a law into one array."""
    return np.array([law.slope, law.intercept], dtype=np.float64)


def _resample_lines(
    curve: Curve, n_bootstrap: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw lines (n_bootstrap, 2) through errors as they could have been."""
    x, y = np.log10(curve.sizes), np.log10(curve.errors)
    solver = _solve_lines(x)
    fitted = np.column_stack([x, np.ones(len(x))]) @ (solver @ y)
    residuals = (y - fitted) * np.sqrt(len(x) / (len(x) - 2))
    drawn = rng.choice(residuals, size=(n_bootstrap, len(x)))
    lines: NDArray[np.float64] = (fitted + drawn) @ solver.T
    return lines


def _cross(
    transfer: NDArray[np.float64], scratch: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find log10 of the frames from which scratch lines (..., 2) are below transfer's.

    Infinite where they never are, minus infinity where they are from one frame on.
    """
    gain = transfer[..., 0] - scratch[..., 0]
    lead = scratch[..., 1] - transfer[..., 1]
    exponents = np.full(np.shape(gain), np.inf)
    np.divide(lead, gain, out=exponents, where=gain > 0)
    exponents = np.where(exponents > LARGEST_EXPONENT, np.inf, exponents)
    return np.where(exponents < 0, -np.inf, exponents)
