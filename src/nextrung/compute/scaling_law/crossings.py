"""Crossing of the power laws of transfer and training from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.scaling_law.laws import LARGEST_EXPONENT, Curve, solve_lines
from nextrung.schemas.scaling_law import Crossing, Leader, PowerLaw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def find_crossing(transfer: PowerLaw, scratch: PowerLaw) -> Crossing:
    """Find the number of frames above which training from scratch is better.

    Parameters
    ----------
    transfer, scratch : PowerLaw
        Power laws of the same error.

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
    """Find which training has the lower error at every common size.

    Parameters
    ----------
    transfer, scratch : mapping of int to float
        Errors by the number of training frames.

    Returns
    -------
    Leader or None
        Training with the lower error at every common size; None without any.
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
    """Resample the crossing of two power laws by a bootstrap of residuals.

    Parameters
    ----------
    transfer, scratch : Curve
        Errors that were fitted, three or more points each.
    n_bootstrap : int
        Number of resamples.
    seed : int
        Random seed.

    Returns
    -------
    ndarray of float, shape (n_bootstrap,)
        Frames at the crossing; infinite where transfer is always better, zero where it
        never is.

    Notes
    -----
    Residuals of each line are drawn with replacement, scaled by sqrt(n / (n - 2)) for
    the two fitted parameters, and added to the fitted line.
    """
    rng = np.random.default_rng(seed)
    lines = [_resample_lines(curve, n_bootstrap, rng) for curve in (transfer, scratch)]
    crossings: NDArray[np.float64] = 10.0 ** _cross(*lines)
    return crossings


def _as_line(law: PowerLaw) -> NDArray[np.float64]:
    """Convert slope and intercept of a power law to an array."""
    return np.array([law.slope, law.intercept], dtype=np.float64)


def _resample_lines(
    curve: Curve, n_bootstrap: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Fit lines (n_bootstrap, 2) to resampled errors."""
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
    """Find log10 of the frames above which lines (..., 2) of scratch are the lower.

    Infinite where they never are, minus infinity where they always are.
    """
    gain = transfer[..., 0] - scratch[..., 0]
    lead = scratch[..., 1] - transfer[..., 1]
    exponents = np.full(np.shape(gain), np.inf)
    np.divide(lead, gain, out=exponents, where=gain > 0)
    exponents = np.where(exponents > LARGEST_EXPONENT, np.inf, exponents)
    return np.where(exponents < 0, -np.inf, exponents)
