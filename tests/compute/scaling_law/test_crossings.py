from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.scaling_law.crossings import (
    find_crossing,
    find_leader,
    resample_crossing,
)
from nextrung.compute.scaling_law.laws import Curve, fit_power_law
from nextrung.schemas.scaling_law import Leader, PowerLaw

SIZES = np.array([2e3, 5e3, 1e4, 5e4, 2e5])


def make_curve(slope: float, intercept: float, *, noise: float = 0) -> Curve:
    exponents = intercept + slope * np.log10(SIZES)
    wiggle = noise * np.array([1, -1, 0.5, -1.5, 1])
    return Curve(sizes=SIZES, errors=10 ** (exponents + wiggle))


def test_power_laws_cross_where_their_lines_cross() -> None:
    """-0.3 x - 0.5 and -0.6 x + 1 meet at x = 5."""
    crossing = find_crossing(
        PowerLaw(slope=-0.3, intercept=-0.5, n_points=3),
        PowerLaw(slope=-0.6, intercept=1.0, n_points=3),
    )

    assert crossing.n_frames == pytest.approx(1e5)


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [(-0.3, 1.0), (-0.2, 1.0), (-0.301, 1.0), (-0.6, -1.0)],
    ids=["parallel", "apart", "too-far", "behind"],
)
def test_power_laws_that_do_not_cross_have_an_error(
    slope: float, intercept: float
) -> None:
    crossing = find_crossing(
        PowerLaw(slope=-0.3, intercept=0, n_points=3),
        PowerLaw(slope=slope, intercept=intercept, n_points=3),
    )

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
    law = PowerLaw(slope=-0.3, intercept=0, n_points=3)
    none = PowerLaw(n_points=1, error="too few")

    crossing = find_crossing(*((none, law) if missing == "transfer" else (law, none)))

    assert crossing.error == f"no law of {missing}: too few"


def test_resamples_of_exact_power_laws_cross_at_one_point() -> None:
    crossings = resample_crossing(
        make_curve(-0.3, -0.5), make_curve(-0.6, 1.0), n_bootstrap=20, seed=0
    )

    np.testing.assert_allclose(crossings, 1e5)


def test_the_interval_of_noisy_laws_contains_the_crossing_reproducibly() -> None:
    curves = make_curve(-0.3, -0.5, noise=0.02), make_curve(-0.6, 1.0, noise=-0.02)

    first = resample_crossing(*curves, n_bootstrap=200, seed=1)
    again = resample_crossing(*curves, n_bootstrap=200, seed=1)

    np.testing.assert_array_equal(first, again)
    crossing = find_crossing(*(fit_power_law(curve) for curve in curves)).n_frames
    assert crossing is not None
    assert first.min() < crossing < first.max()
