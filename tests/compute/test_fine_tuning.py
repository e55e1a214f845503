from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.fine_tuning import (
    cool_learning_rate,
    plan_batches,
    plan_gradient_steps,
    select_train_frames,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.frames import Frames


def make_frames(materials: list[str], split: str = "train") -> Frames:
    """One frame per name, of the material of that name."""
    hydrogen = Structure(Lattice.cubic(3), ["H"], [[0, 0, 0]])
    frames = Frames.from_structures([hydrogen] * len(materials))
    frames = replace(frames, material_ids=np.array(materials))
    return frames.with_splits(np.full(len(materials), split))


def take(n_train_frames: int | None, seed: int = 0) -> Frames:
    """Take so many of twelve frames of four materials."""
    settings = FineTuningSettings(n_train_frames=n_train_frames, seed=seed)
    return select_train_frames(make_frames(list("abcd") * 3), settings)


def test_all_training_frames_are_selected_in_order() -> None:
    assert take(None).frame_ids.tolist() == [str(index) for index in range(12)]


@pytest.mark.parametrize("seed", range(5))
def test_smaller_selections_are_part_of_larger_ones(seed: int) -> None:
    chosen = [set(take(n, seed).frame_ids) for n in range(1, 13)]

    assert [len(frames) for frames in chosen] == list(range(1, 13))
    assert all(a < b for a, b in pairwise(chosen))


@pytest.mark.parametrize("seed", range(5))
def test_materials_are_selected_whole(seed: int) -> None:
    """Six frames of materials of three frames each are two whole materials."""
    _, counts = np.unique(take(6, seed).material_ids, return_counts=True)

    assert counts.tolist() == [3, 3]


def test_another_seed_selects_other_materials() -> None:
    first = {str(take(3, seed).material_ids[0]) for seed in range(20)}

    assert first == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("frames", "wanted", "message"),
    [
        (make_frames(["a"], split="val"), None, "at least 1 frames .* got 0"),
        (make_frames(["a", "b"]), 3, "at least 3 frames .* got 2"),
    ],
    ids=["empty", "short"],
)
def test_too_few_training_frames_are_rejected(
    frames: Frames, wanted: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        select_train_frames(frames, FineTuningSettings(n_train_frames=wanted))


COSTS = np.random.default_rng(0).integers(1, 60, size=103)


@pytest.mark.parametrize("window", [1, 3, 100])
def test_every_frame_is_in_one_batch_of_each_epoch(window: int) -> None:
    settings = FineTuningSettings(batch_size=8, shuffle_window=window)

    batches = plan_batches(COSTS, 2, settings)

    assert sorted(np.concatenate(batches)) == list(range(103))
    assert len(batches) == 13
    assert max(len(batch) for batch in batches) <= 8


def test_the_batches_of_an_epoch_are_reproducible() -> None:
    settings = FineTuningSettings(batch_size=8)
    first, again = (plan_batches(COSTS, 5, settings) for _ in range(2))
    other = plan_batches(COSTS, 6, settings)

    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not all(set(a) == set(b) for a, b in zip(first, other, strict=True))


def test_batches_that_share_frames_cost_about_the_same() -> None:
    """Dealing there and back leaves no more than one frame between two batches."""
    costs = np.random.default_rng(1).integers(1, 60, size=96)

    batches = plan_batches(costs, 0, FineTuningSettings(batch_size=12))

    totals = [int(costs[batch].sum()) for batch in batches]
    shuffled = [
        int(c.sum()) for c in np.random.default_rng(2).permutation(costs).reshape(8, 12)
    ]
    assert max(totals) - min(totals) <= costs.max()
    assert np.std(totals) < np.std(shuffled) / 5


def test_a_window_of_one_batch_only_shuffles() -> None:
    settings = FineTuningSettings(batch_size=10, shuffle_window=1, seed=3)

    batches = plan_batches(COSTS, 1, settings)

    order = np.random.default_rng([3, 1]).permutation(103)
    np.testing.assert_array_equal(np.concatenate(batches), order)


@pytest.mark.parametrize("n_steps", [2, 3, 7, 450, 148_900])
def test_the_learning_rate_ends_at_its_final_value(n_steps: int) -> None:
    settings = FineTuningSettings()

    assert cool_learning_rate(0, n_steps, settings) == pytest.approx(1e-3, rel=1e-12)
    assert cool_learning_rate(n_steps - 1, n_steps, settings) == pytest.approx(
        1e-5, rel=1e-12
    )


def test_the_learning_rate_is_half_way_at_half_time() -> None:
    assert cool_learning_rate(50, 101, FineTuningSettings()) == pytest.approx(
        (1e-3 + 1e-5) / 2
    )


def test_the_learning_rate_does_not_increase() -> None:
    rates = [cool_learning_rate(step, 40, FineTuningSettings()) for step in range(50)]

    assert all(a >= b for a, b in pairwise(rates))


def test_a_training_of_one_step_has_the_first_learning_rate() -> None:
    assert cool_learning_rate(0, 1, FineTuningSettings()) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("n_batches", "points", "steps"),
    [
        (100, 10, list(range(0, 100, 10))),
        (25, 10, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]),
        (3, 10, [0, 1, 2]),
        (7, 0, []),
    ],
)
def test_gradients_are_recorded_at_the_start_of_each_tenth(
    n_batches: int, points: int, steps: list[int]
) -> None:
    settings = FineTuningSettings(gradient_points=points)

    assert plan_gradient_steps(n_batches, settings) == steps
