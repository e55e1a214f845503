from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nextrung.compute.intervals import FrameErrors, collect_errors, compare_models
from nextrung.schemas.evaluation import FrameResiduals
from nextrung.schemas.repeats import BestModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.intervals import Repeat
    from nextrung.schemas.repeats import ModelDifference

    Models = dict[str, dict[Repeat, FrameErrors]]

N = 30


def errors_of(values: NDArray[np.float64], first: int = 0) -> FrameErrors:
    ids = np.array([f"m-{first + index}" for index in range(len(values))])
    return FrameErrors(
        frame_ids=ids,
        material_ids=ids,
        weights={"energy": np.ones(len(values))},
        errors={"energy": values},
    )


def find(found: list[ModelDifference], model: str, reference: str) -> ModelDifference:
    return next(d for d in found if (d.model, d.reference) == (model, reference))


def test_every_model_is_compared_with_source_scratch_and_best() -> None:
    rng = np.random.default_rng(0)
    names = ("source", "scratch", "frozen_atom_refs", "refitted_atom_refs")
    models: Models = {n: {(0, 0): errors_of(rng.exponential(size=N))} for n in names}
    best = BestModel(model="refitted_atom_refs", val_error=0.1, test_error=None)

    found = compare_models(models, {"energy": best})

    pairs = {(d.model, d.reference) for d in found}
    references = {"source", "scratch", "refitted_atom_refs"}
    assert pairs == {(m, r) for m in names for r in references if m != r}
    assert {(d.property, d.n_materials, d.n_repeats) for d in found} == {
        ("energy", N, 1)
    }


def test_a_better_model_is_told_apart_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(0)
    hard = rng.lognormal(size=N)
    models: Models = {
        "source": {(None, 0): errors_of(hard)},
        "scratch": {
            (seed, 0): errors_of(hard * rng.lognormal(0, 0.1, N)) for seed in range(3)
        },
        "frozen_atom_refs": {
            (seed, 0): errors_of(0.5 * hard * rng.lognormal(0, 0.1, N))
            for seed in range(3)
        },
    }
    found = compare_models(models, {})

    better = find(found, "frozen_atom_refs", "source")
    assert better.significant
    assert better.high < 0
    assert (better.n_repeats, better.n_materials) == (3, N)
    equal = find(found, "scratch", "source")
    assert not equal.significant
    assert equal.low < 0 < equal.high


def test_more_models_need_smaller_p_values() -> None:
    rng = np.random.default_rng(4)
    hard = rng.lognormal(size=N)
    source: Models = {"source": {(None, 0): errors_of(hard)}}
    tried: Models = {
        f"model {i}": {(0, 0): errors_of(hard + rng.normal(0.3, 0.7, N))}
        for i in range(6)
    }
    two = compare_models(source | {"model 0": tried["model 0"]}, {})[0]
    seven = find(compare_models(source | tried, {}), "model 0", "source")
    assert two.p_value == two.p_adjusted == seven.p_value < seven.p_adjusted


def test_frames_that_one_model_lacks_are_left_out_of_both() -> None:
    values = np.arange(1.0, N + 1)
    gap = values.copy()
    gap[0] = np.nan
    models: Models = {
        "source": {(None, 0): errors_of(gap)},
        "scratch": {(0, 0): errors_of(2 * values[:-1])},
    }
    (found,) = compare_models(models, {})[:1]
    assert found.n_materials == N - 2
    assert found.difference == pytest.approx(values[1:-1].mean())


def test_splits_are_compared_within_themselves() -> None:
    rng = np.random.default_rng(0)
    models: Models = {
        "source": {
            (None, split): errors_of(np.zeros(N), N * split) for split in (0, 1)
        },
        "scratch": {
            (seed, split): errors_of(rng.exponential(size=N), N * split)
            for seed in (0, 1)
            for split in (0, 1)
        },
    }
    found = find(compare_models(models, {}), "scratch", "source")
    assert (found.n_repeats, found.n_materials) == (4, 2 * N)


def test_models_without_a_common_repeat_are_not_compared() -> None:
    models: Models = {
        "source": {(None, 0): errors_of(np.zeros(N))},
        "scratch": {(0, 1): errors_of(np.ones(N))},
    }
    assert compare_models(models, {}) == []


def test_errors_are_those_of_the_test_frames() -> None:
    rows = FrameResiduals(
        frame_id=["a", "b", "c"],
        material_id=["m", "n", "o"],
        formula=["Li"] * 3,
        split=["test", "train", "test"],
        n_atoms=[2, 3, 4],
        energy_per_atom=[1.0, 1.0, None],
        predicted_energy_per_atom=[1.5, 9.0, 2.0],
        forces_mae=[0.1, 0.2, 0.3],
        stress_mae=[None, 1.0, 2.0],
        magmoms_mae=[None, None, None],
    )
    found = collect_errors(rows)
    assert found.frame_ids.tolist() == ["a", "c"]
    assert found.errors["energy"] == pytest.approx([0.5, np.nan], nan_ok=True)
    assert found.errors["forces"].tolist() == [0.1, 0.3]
    assert found.weights["forces"].tolist() == [2, 4]
    assert found.weights["stress"].tolist() == [1, 1]


def test_forces_are_left_out_where_numbers_of_atoms_were_not_kept() -> None:
    rows = FrameResiduals(
        frame_id=["a"],
        material_id=["m"],
        formula=["Li"],
        split=["test"],
        energy_per_atom=[1.0],
        predicted_energy_per_atom=[1.5],
        forces_mae=[0.1],
        stress_mae=[None],
        magmoms_mae=[None],
    )
    assert set(collect_errors(rows).errors) == {"energy", "stress"}
