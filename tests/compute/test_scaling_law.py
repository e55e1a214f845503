from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.scaling_law import (
    Curve,
    find_crossing,
    fit_power_law,
    resample_crossing,
    score_scaling_law,
    select_curve,
    size_for_error,
)
from nextrung.schemas.models import Model
from nextrung.schemas.scaling_law import PowerLaw, ScalingLawSettings, ScalingPoint

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


def test_a_noisy_law_has_numpys_line_and_correlation() -> None:
    curve = make_curve(-0.3, 0.5, noise=0.05)

    law = fit_power_law(curve)

    x, y = np.log10(curve.sizes), np.log10(curve.errors)
    slope, intercept = np.polyfit(x, y, 1)
    assert law.slope == pytest.approx(slope)
    assert law.intercept == pytest.approx(intercept)
    assert law.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


@pytest.mark.parametrize("n_points", [0, 1])
def test_fewer_than_two_sizes_have_no_law(n_points: int) -> None:
    curve = Curve(sizes=SIZES[:n_points], errors=SIZES[:n_points])

    law = fit_power_law(curve)

    assert law.slope is None
    assert law.error == f"a law needs two sizes to fit, met {n_points}"


def test_two_runs_of_one_size_are_one_size() -> None:
    law = fit_power_law(Curve(sizes=np.array([1e3, 1e3]), errors=np.array([1.0, 0.9])))

    assert law.error == "a law needs two sizes to fit, met 1"


def test_two_points_always_lie_on_a_line_so_nothing_is_judged() -> None:
    law = fit_power_law(Curve(sizes=np.array([1e3, 1e4]), errors=np.array([1.0, 0.1])))

    assert law.slope == pytest.approx(-1)
    assert law.r_squared is None


def test_only_known_errors_above_the_size_are_fitted() -> None:
    points = make_points(Model.SCRATCH, -0.5, 0)
    points[1] = points[1].model_copy(update={"energy_mae": None})
    points += make_points(Model.REFITTED_ATOM_REFS, -0.1, 0)

    curve = select_curve(points, Model.SCRATCH, "energy_mae", fit_above=2000)

    assert curve.sizes.tolist() == [1e4, 5e4, 2e5]


def test_laws_cross_where_their_lines_do() -> None:
    """-0.3 x - 0.5 and -0.6 x + 1 meet at x = 5."""
    crossing = find_crossing(
        PowerLaw(slope=-0.3, intercept=-0.5, n_points=3),
        PowerLaw(slope=-0.6, intercept=1.0, n_points=3),
    )

    assert crossing.n_frames == pytest.approx(1e5)


@pytest.mark.parametrize(
    ("slope", "intercept", "reason"),
    [
        (-0.3, 1.0, "transfer is ahead up to 1e15 frames"),
        (-0.2, 1.0, "transfer is ahead up to 1e15 frames"),
        (-0.301, 1.0, "transfer is ahead up to 1e15 frames"),
        (-0.6, -1.0, "training from scratch is ahead from the first frame on"),
    ],
    ids=["parallel", "apart", "too-far", "behind"],
)
def test_laws_that_do_not_cross_say_so(
    slope: float, intercept: float, reason: str
) -> None:
    crossing = find_crossing(
        PowerLaw(slope=-0.3, intercept=0, n_points=3),
        PowerLaw(slope=slope, intercept=intercept, n_points=3),
    )

    assert crossing.n_frames is None
    assert crossing.error == reason


@pytest.mark.parametrize("missing", ["transfer", "training from scratch"])
def test_a_missing_law_has_no_crossing(missing: str) -> None:
    law = PowerLaw(slope=-0.3, intercept=0, n_points=3)
    none = PowerLaw(n_points=1, error="too few")

    crossing = find_crossing(*((none, law) if missing == "transfer" else (law, none)))

    assert crossing.error == f"no law of {missing}: too few"


def test_resamples_of_exact_laws_all_cross_at_one_point() -> None:
    crossings = resample_crossing(
        make_curve(-0.3, -0.5), make_curve(-0.6, 1.0), n_bootstrap=20, seed=0
    )

    np.testing.assert_allclose(crossings, 1e5)


def test_the_interval_of_noisy_laws_holds_the_crossing_and_repeats() -> None:
    curves = make_curve(-0.3, -0.5, noise=0.02), make_curve(-0.6, 1.0, noise=-0.02)

    first = resample_crossing(*curves, n_bootstrap=200, seed=1)
    again = resample_crossing(*curves, n_bootstrap=200, seed=1)

    np.testing.assert_array_equal(first, again)
    crossing = find_crossing(*(fit_power_law(curve) for curve in curves)).n_frames
    assert crossing is not None
    assert first.min() < crossing < first.max()


def test_the_size_for_an_error_is_where_the_law_has_it() -> None:
    """10 ** (0.5 - 0.5 x) is 0.01 at x = 5."""
    law = PowerLaw(slope=-0.5, intercept=0.5, n_points=3)

    assert size_for_error(law, 0.01, Model.SCRATCH).n_frames == pytest.approx(1e5)
    assert size_for_error(law, 100, Model.SCRATCH).n_frames == 1


@pytest.mark.parametrize(
    ("law", "reason"),
    [
        (PowerLaw(slope=0.1, intercept=0, n_points=3), "does not fall"),
        (PowerLaw(slope=-0.1, intercept=0, n_points=3), "more than 1e15"),
        (PowerLaw(n_points=0, error="too few"), "too few"),
    ],
    ids=["rising", "flat", "missing"],
)
def test_errors_out_of_reach_have_no_size(law: PowerLaw, reason: str) -> None:
    required = size_for_error(law, 0.01, Model.SCRATCH)

    assert required.n_frames is None
    assert reason in str(required.error)


def test_a_study_has_laws_crossing_and_sizes_of_both_errors() -> None:
    """Forces are twice the energies: another intercept, the same crossing."""
    points = make_points(Model.REFITTED_ATOM_REFS, -0.3, -0.5)
    points += make_points(Model.SCRATCH, -0.6, 1.0)
    settings = ScalingLawSettings(
        fit_above=0, target_energy_maes=(0.01,), n_bootstrap=10
    )

    score = score_scaling_law(points, settings)

    for scaling in score.laws.values():
        assert scaling.crossing.n_frames == pytest.approx(1e5)
        assert scaling.crossing.low == pytest.approx(1e5)
        assert scaling.crossing.high == pytest.approx(1e5)
        assert scaling.crossing.n_crossing == scaling.crossing.n_resamples == 10
    sizes = score.laws["energy_mae"].required_sizes
    assert [size.n_frames for size in sizes] == pytest.approx([1e5, 1e5])
    assert score.laws["forces_mae"].required_sizes == []


@pytest.mark.parametrize("sizes", [2, 5])
def test_without_resamples_there_is_no_interval(sizes: int) -> None:
    points = make_points(Model.REFITTED_ATOM_REFS, -0.3, -0.5)[:sizes]
    points += make_points(Model.SCRATCH, -0.6, 1.0)[:sizes]
    settings = ScalingLawSettings(fit_above=0, n_bootstrap=0 if sizes > 2 else 10)

    crossing = score_scaling_law(points, settings).laws["energy_mae"].crossing

    assert crossing.n_frames == pytest.approx(1e5)
    assert crossing.low is crossing.high is None


def test_transfer_alone_has_nothing_to_cross() -> None:
    settings = ScalingLawSettings(models=(Model.REFITTED_ATOM_REFS,))

    crossing = score_scaling_law([], settings).laws["energy_mae"].crossing

    assert crossing.error == "one pretrained model and scratch are needed to cross"
