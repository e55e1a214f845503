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


def test_transfer_alone_has_no_crossing() -> None:
    settings = ScalingLawSettings(models=(Model.REFITTED_ATOM_REFS,))

    crossing = score_scaling_law([], settings).laws["energy_mae"].crossing

    assert crossing.error == "one pretrained model and scratch are needed to cross"


def test_a_study_has_power_laws_crossings_and_sizes_of_both_errors() -> None:
    """Forces are twice the energies: another intercept, the same crossing."""
    points = make_points(Model.REFITTED_ATOM_REFS, -0.3, -0.5)
    points += make_points(Model.SCRATCH, -0.6, 1.0)
    settings = ScalingLawSettings(fit_above=0, target_energy_maes=(0.01,))

    score = score_scaling_law(points, settings)

    for scaling in score.laws.values():
        assert scaling.crossing.n_frames == pytest.approx(1e5)
        assert scaling.crossing.leader is Leader.NEITHER
        assert scaling.crossing.low == pytest.approx(1e5)
        assert scaling.crossing.high == pytest.approx(1e5)
    sizes = score.laws["energy_mae"].required_sizes
    assert [size.n_frames for size in sizes] == pytest.approx([1e5, 1e5])
    assert score.laws["forces_mae"].required_sizes == []


def test_repeated_trainings_are_compared_by_their_mean() -> None:
    """Scratch is ahead in one of two repeats of each size, and behind on average."""
    points = [
        ScalingPoint(
            model=model,
            n_frames=size,
            n_materials=1,
            energy_mae=error,
            forces_mae=None,
            seed=seed,
            undertrained=model is Model.SCRATCH and size == 20,
        )
        for size in (10, 20)
        for seed in (0, 1)
        for model, error in (
            (Model.REFITTED_ATOM_REFS, 1.0),
            (Model.SCRATCH, 0.9 + seed),
        )
    ]

    score = score_scaling_law(points, ScalingLawSettings(fit_above=0))

    crossing = score.laws["energy_mae"].crossing
    assert crossing.leader is Leader.TRANSFER
    assert crossing.undertrained_sizes == (20,)
    assert score.laws["energy_mae"].laws["scratch"].n_points == 4


@pytest.mark.parametrize(
    ("errors", "laws"),
    [
        ((0.1, None), ["energy_mae"]),
        ((0.1, 0.2), ["energy_mae", "forces_mae"]),
        ((None, None), ["energy_mae", "forces_mae"]),
    ],
    ids=["no forces", "both", "no prediction"],
)
def test_frames_without_forces_have_no_law_of_forces(
    errors: tuple[float | None, float | None], laws: list[str]
) -> None:
    points = [
        ScalingPoint(
            model=Model.SCRATCH,
            n_frames=size,
            n_materials=1,
            energy_mae=errors[0],
            forces_mae=errors[1],
        )
        for size in (10, 20)
    ]

    assert list(score_scaling_law(points, ScalingLawSettings()).laws) == laws
