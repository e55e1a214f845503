"""Intervals cover the truth in 92 to 98 % of simulated studies, few materials or many.

Errors of potentials have long tails: a few materials make up much of the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nextrung.compute.intervals import compare_paired, estimate_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

N_TRIALS = 400

#: Distribution of absolute errors, and its mean.
ERRORS: dict[str, tuple[Draw, float]] = {
    "exponential": (lambda rng, n: rng.exponential(size=n), 1.0),
    "lognormal": (lambda rng, n: rng.lognormal(size=n), float(np.exp(0.5))),
    "absolute t": (
        lambda rng, n: np.abs(rng.standard_t(3, size=n)),
        2 * np.sqrt(3) / np.pi,
    ),
}

#: Distribution of differences of two models, of mean 0.
DIFFERENCES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "t": lambda rng, n: rng.standard_t(3, size=n),
    "skewed": lambda rng, n: rng.exponential(size=n) - 1,
}


def name(n_materials: int) -> list[str]:
    return [f"m-{index}" for index in range(n_materials)]


@pytest.mark.parametrize("n_materials", [10, 20, 40])
@pytest.mark.parametrize("kind", ERRORS)
def test_intervals_of_metrics_cover_the_mean(kind: str, n_materials: int) -> None:
    draw, mean = ERRORS[kind]
    rng = np.random.default_rng(n_materials)
    found = [
        estimate_interval(draw(rng, n_materials), name(n_materials), n_resamples=500)
        for _ in range(N_TRIALS)
    ]
    covered = [ends is not None and ends[0] <= mean <= ends[1] for ends in found]
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("n_materials", [10, 40])
@pytest.mark.parametrize("kind", DIFFERENCES)
def test_intervals_of_differences_cover_the_mean(kind: str, n_materials: int) -> None:
    rng = np.random.default_rng(n_materials)
    covered = []
    for _ in range(N_TRIALS):
        shared = rng.lognormal(size=n_materials)
        difference = 0.3 + 0.2 * DIFFERENCES[kind](rng, n_materials)
        found = compare_paired(shared + difference, shared, name(n_materials))
        assert found is not None
        covered.append(found.low <= 0.3 <= found.high)
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_intervals_over_repeats_cover_the_mean_of_all_seeds(spread: float) -> None:
    """Three seeds, each with an error of its own on top of that of the materials.

    The variance of so few seeds is overestimated on purpose.
    """
    rng = np.random.default_rng(7)
    materials = np.repeat(name(20), 3).tolist()
    covered = []
    for _ in range(N_TRIALS):
        of_seeds = rng.normal(scale=spread / np.sqrt(20), size=3)
        errors = rng.standard_t(4, size=20)[:, None] + rng.normal(size=(20, 3))
        found = compare_paired(
            (errors + of_seeds).ravel(),
            np.zeros(60),
            materials,
            repeat_ids=[0, 1, 2] * 20,
        )
        assert found is not None
        covered.append(found.low <= 0 <= found.high)
    assert 0.92 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("n_materials", [12, 40])
def test_two_equal_models_are_told_apart_in_at_most_5_percent(n_materials: int) -> None:
    """Both err on the same materials, by the same distribution, over three seeds."""
    rng = np.random.default_rng(11)
    materials = np.repeat(name(n_materials), 3).tolist()
    n_told_apart = 0
    for _ in range(200):
        hardness = rng.lognormal(size=(n_materials, 1))
        a, b = (
            (hardness * rng.lognormal(sigma=0.5, size=(n_materials, 3)))
            * rng.lognormal(sigma=0.05, size=3)
            for _ in range(2)
        )
        found = compare_paired(
            a.ravel(), b.ravel(), materials, repeat_ids=[0, 1, 2] * n_materials
        )
        assert found is not None
        n_told_apart += found.p_value < 0.05
    assert n_told_apart <= 10


def test_seeds_that_differ_more_than_models_hide_a_difference() -> None:
    """Materials alone would tell the models apart: that is the error of one seed."""
    rng = np.random.default_rng(5)
    errors = 0.2 + 0.05 * rng.normal(size=(30, 3)) + np.array([-0.5, 0.1, 0.6])
    materials = np.repeat(name(30), 3).tolist()
    zeros = np.zeros(90)

    alone = compare_paired(errors.ravel(), zeros, materials)
    repeated = compare_paired(
        errors.ravel(), zeros, materials, repeat_ids=[0, 1, 2] * 30
    )

    assert alone is not None
    assert repeated is not None
    assert alone.p_value < 0.05 < repeated.p_value
