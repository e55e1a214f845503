"""Crossing of the power laws of transfer and training from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.scaling_law.intervals import bound_crossing
from nextrung.compute.scaling_law.laws import (
    LARGEST_EXPONENT,
    as_frames,
    fit_power_law,
)
from nextrung.compute.scaling_law.lines import FittedLine
from nextrung.schemas.scaling_law import Crossing, Leader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.compute.scaling_law.lines import Curve


def find_crossing(transfer: Curve, scratch: Curve) -> Crossing:
    """Find the number of frames above which training from scratch is better.

    Parameters
    ----------
    transfer, scratch : Curve
        The same error of both trainings, as fitted.

    Returns
    -------
    Crossing
        Frames at the crossing of the power laws, or why there is none; with its 95 %
        interval where each law has three points or more.
    """
    curves = {"transfer": transfer, "training from scratch": scratch}
    for name, curve in curves.items():
        if error := fit_power_law(curve).error:
            return Crossing(error=f"no law of {name}: {error}")
    lines = [FittedLine.fit(curve) for curve in curves.values()]
    low, high = None, None
    if min(line.n_free for line in lines) > 0:
        low, high = as_frames(bound_crossing(*lines))
    gain, lead = (lines[0].line - lines[1].line).tolist()
    exponent = -lead / gain if gain > 0 else np.inf
    if not 0 <= exponent <= LARGEST_EXPONENT:
        return Crossing(error="the fits do not cross", low=low, high=high)
    return Crossing(n_frames=10**exponent, low=low, high=high)


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
