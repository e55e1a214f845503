"""Where training from scratch catches up with transfer, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.scaling_law.laws import LARGEST_EXPONENT, Curve, solve_lines
from nextrung.schemas.scaling_law import Crossing, Leader, PowerLaw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


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
    if not np.isfinite(exponent):
        return Crossing(error="the fits do not cross")
    return Crossing(n_frames=10**exponent)


def find_leader(
    transfer: Mapping[int, float], scratch: Mapping[int, float]
) -> Leader | None:
    """Find out whether one of two models is ahead at every size studied.

    Parameters
    ----------
    transfer, scratch : mapping of int to float
        Errors by the number of training frames.

    Returns
    -------
    Leader or None
        Who is ahead at every size that both have; None where there is none.
    """
    shared = [size for size in transfer if size in scratch]
    leads = {transfer[size] < scratch[size] for size in shared}
    if not leads:
        return None
    if len(leads) > 1:
        return Leader.NEITHER
    return Leader.TRANSFER if leads.pop() else Leader.SCRATCH


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


def _as_line(law: PowerLaw) -> NDArray[np.float64]:
    """Put slope and intercept of a law into one array."""
    return np.array([law.slope, law.intercept], dtype=np.float64)


def _resample_lines(
    curve: Curve, n_bootstrap: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw lines (n_bootstrap, 2) through errors as they could have been."""
    x, y = np.log10(curve.sizes), np.log10(curve.errors)
    solver = solve_lines(x)
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
