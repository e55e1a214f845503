from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.scaling_law.laws import (
    fit_power_law,
    select_curve,
    size_for_error,
)
from nextrung.compute.scaling_law.lines import Curve
from nextrung.schemas.models import Model
from nextrung.schemas.scaling_law import ScalingPoint

SIZES = np.array([2e3, 5e3, 1e4, 5e4, 2e5])


def make_curve(slope: float, intercept: float, *, noise: float = 0) -> Curve:
    exponents = intercept + slope * np.log10(SIZES)
    wiggle = noise * np.array([1, -1, 0.5, -1.5, 1])
    return Curve(sizes=SIZES, errors=10 ** (exponents + wiggle))


def make_points(model: Model, slope: float, intercept: float) -> list[ScalingPoint]:
    curve = make_curve(slope, intercept)
    return [
        ScalingPoint(
            model=model,
            n_frames=int(size),
            n_materials=int(size) // 7,
            energy_mae=float(error),
            forces_mae=2 * float(error),
        )
        for size, error in zip(curve.sizes, curve.errors, strict=True)
    ]


def test_an_exact_power_law_is_recovered() -> None:
    law = fit_power_law(make_curve(-0.3, 0.5))

    assert law.slope == pytest.approx(-0.3)
    assert law.intercept == pytest.approx(0.5)
    assert law.r_squared == pytest.approx(1)
    assert law.n_points == 5


def test_a_fit_to_noisy_errors_agrees_with_numpy() -> None:
    curve = make_curve(-0.3, 0.5, noise=0.05)

    law = fit_power_law(curve)

    x, y = np.log10(curve.sizes), np.log10(curve.errors)
    slope, intercept = np.polyfit(x, y, 1)
    assert law.slope == pytest.approx(slope)
    assert law.intercept == pytest.approx(intercept)
    assert law.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


@pytest.mark.parametrize("n_points", [0, 1])
def test_fewer_than_two_sizes_have_no_power_law(n_points: int) -> None:
    curve = Curve(sizes=SIZES[:n_points], errors=SIZES[:n_points])

    law = fit_power_law(curve)

    assert law.slope is None
    assert law.error == f"a law needs two sizes to fit, got {n_points}"


def test_two_trainings_of_one_size_count_as_one_size() -> None:
    law = fit_power_law(Curve(sizes=np.array([1e3, 1e3]), errors=np.array([1.0, 0.9])))

    assert law.error == "a law needs two sizes to fit, got 1"


def test_two_points_have_no_r_squared() -> None:
    law = fit_power_law(Curve(sizes=np.array([1e3, 1e4]), errors=np.array([1.0, 0.1])))

    assert law.slope == pytest.approx(-1)
    assert law.r_squared is None


def test_only_known_errors_above_the_size_are_fitted() -> None:
    points = make_points(Model.SCRATCH, -0.5, 0)
    points[1] = points[1].model_copy(update={"energy_mae": None})
    points += make_points(Model.REFITTED_ATOM_REFS, -0.1, 0)

    curve = select_curve(points, Model.SCRATCH, "energy_mae", fit_above=2000)

    assert curve.sizes.tolist() == [1e4, 5e4, 2e5]


def test_the_size_for_an_error_is_where_the_power_law_reaches_it() -> None:
    """10 ** (0.5 - 0.5 x) is 0.01 at x = 5; without scatter, so is the interval."""
    curve = make_curve(-0.5, 0.5)

    size = size_for_error(curve, 0.01, Model.SCRATCH)
    assert size.n_frames == pytest.approx(1e5)
    assert (size.low, size.high) == pytest.approx((1e5, 1e5))
    assert size_for_error(curve, 100, Model.SCRATCH).n_frames == 1


def test_a_size_beyond_ten_times_the_data_is_called_extrapolated() -> None:
    """The largest size is 2e5: 10 ** (0.5 - 0.5 x) at 1.9e6 and at 2.1e6."""
    curve = make_curve(-0.5, 0.5)

    near, far = (
        size_for_error(curve, 10**0.5 * size**-0.5, Model.SCRATCH)
        for size in (1.9e6, 2.1e6)
    )

    assert (near.extrapolated, far.extrapolated) == (False, True)


@pytest.mark.parametrize(
    ("curve", "reason"),
    [
        (make_curve(0.1, 0), "does not fall"),
        (make_curve(-0.1, 0), "more than 20,000,000 frames: beyond the range"),
        (Curve(SIZES[:3], SIZES[:3] ** -0.5), "needs 4 sizes to extrapolate, got 3"),
        (
            Curve(np.repeat(SIZES[:3], 3), np.repeat(SIZES[:3], 3) ** -0.5),
            "needs 4 sizes to extrapolate, got 3",
        ),
    ],
    ids=["rising", "flat", "three", "three-repeated"],
)
def test_errors_beyond_the_fit_have_no_size(curve: Curve, reason: str) -> None:
    required = size_for_error(curve, 0.01, Model.SCRATCH)

    assert (required.n_frames, required.low, required.high) == (None, None, None)
    assert reason in str(required.error)
