from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.scaling_law import score_scaling_law
from nextrung.schemas.models import Model
from nextrung.schemas.scaling_law import Leader, ScalingLawSettings, ScalingPoint

SIZES = np.array([2e3, 5e3, 1e4, 5e4, 2e5])


def make_points(model: Model, slope: float, intercept: float) -> list[ScalingPoint]:
    errors = 10 ** (intercept + slope * np.log10(SIZES))
    return [
        ScalingPoint(
            model=model,
            n_frames=int(size),
            n_materials=int(size) // 7,
            energy_mae=float(error),
            forces_mae=2 * float(error),
        )
        for size, error in zip(SIZES, errors, strict=True)
    ]


@pytest.mark.parametrize("sizes", [2, 5])
def test_without_resamples_there_is_no_interval(sizes: int) -> None:
    points = make_points(Model.REFITTED_ATOM_REFS, -0.3, -0.5)[:sizes]
    points += make_points(Model.SCRATCH, -0.6, 1.0)[:sizes]
    settings = ScalingLawSettings(fit_above=0, n_bootstrap=0 if sizes > 2 else 10)

    crossing = score_scaling_law(points, settings).laws["energy_mae"].crossing

    assert crossing.n_frames == pytest.approx(1e5)
    assert crossing.low is crossing.high is None


def test_transfer_alone_has_no_crossing() -> None:
    settings = ScalingLawSettings(models=(Model.REFITTED_ATOM_REFS,))

    crossing = score_scaling_law([], settings).laws["energy_mae"].crossing

    assert crossing.error == "one pretrained model and scratch are needed to cross"


def test_a_study_has_power_laws_crossings_and_sizes_of_both_errors() -> None:
    """Forces are twice the energies: another intercept, the same crossing."""
    points = make_points(Model.REFITTED_ATOM_REFS, -0.3, -0.5)
    points += make_points(Model.SCRATCH, -0.6, 1.0)
    settings = ScalingLawSettings(
        fit_above=0, target_energy_maes=(0.01,), n_bootstrap=10
    )

    score = score_scaling_law(points, settings)

    for scaling in score.laws.values():
        assert scaling.crossing.n_frames == pytest.approx(1e5)
        assert scaling.crossing.leader is Leader.NEITHER
        assert scaling.crossing.low == pytest.approx(1e5)
        assert scaling.crossing.high == pytest.approx(1e5)
        assert scaling.crossing.n_crossing == scaling.crossing.n_resamples == 10
    sizes = score.laws["energy_mae"].required_sizes
    assert [size.n_frames for size in sizes] == pytest.approx([1e5, 1e5])
    assert score.laws["forces_mae"].required_sizes == []
