from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.scaling_law.crossings import find_crossing, find_leader
from nextrung.compute.scaling_law.lines import Curve
from nextrung.schemas.scaling_law import Leader

SIZES = np.array([2e3, 5e3, 1e4, 5e4, 2e5])


def make_curve(slope: float, intercept: float, n_points: int = 5) -> Curve:
    errors = 10 ** (intercept + slope * np.log10(SIZES))
    return Curve(sizes=SIZES[:n_points], errors=errors[:n_points])


@pytest.mark.parametrize("n_points", [2, 3, 5])
def test_power_laws_cross_where_their_lines_cross(n_points: int) -> None:
    """-0.3 x - 0.5 and -0.6 x + 1 meet at x = 5; two points have no scatter."""
    crossing = find_crossing(
        make_curve(-0.3, -0.5, n_points), make_curve(-0.6, 1.0, n_points)
    )

    assert crossing.n_frames == pytest.approx(1e5)
    if n_points == 2:
        assert crossing.low is crossing.high is None
    else:
        assert (crossing.low, crossing.high) == pytest.approx((1e5, 1e5))


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [(-0.3, 1.0), (-0.2, 1.0), (-0.301, 1.0), (-0.6, -1.0)],
    ids=["parallel", "apart", "too-far", "behind"],
)
def test_power_laws_that_do_not_cross_have_an_error(
    slope: float, intercept: float
) -> None:
    crossing = find_crossing(make_curve(-0.3, 0), make_curve(slope, intercept))

    assert crossing.n_frames is None
    assert crossing.error == "the fits do not cross"


@pytest.mark.parametrize(
    ("transfer", "scratch", "leader"),
    [
        ({10: 1.0, 20: 0.5}, {10: 2.0, 20: 0.6}, Leader.TRANSFER),
        ({10: 1.0, 20: 0.5}, {10: 0.5, 20: 0.4}, Leader.SCRATCH),
        ({10: 1.0, 20: 0.5}, {10: 2.0, 20: 0.4}, Leader.NEITHER),
        ({10: 1.0, 20: 0.5}, {10: 2.0, 30: 0.1}, Leader.TRANSFER),
        ({10: 1.0}, {20: 1.0}, None),
    ],
)
def test_the_better_training_is_found_from_common_sizes(
    transfer: dict[int, float], scratch: dict[int, float], leader: Leader | None
) -> None:
    assert find_leader(transfer, scratch) is leader


@pytest.mark.parametrize("missing", ["transfer", "training from scratch"])
def test_without_a_power_law_there_is_no_crossing(missing: str) -> None:
    law, none = make_curve(-0.3, 0), make_curve(-0.3, 0, n_points=1)

    crossing = find_crossing(*((none, law) if missing == "transfer" else (law, none)))

    reason = "a law needs two sizes to fit, got 1"
    assert crossing.error == f"no law of {missing}: {reason}"
