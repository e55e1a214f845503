from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.fine_tuning import (
    cool_learning_rate,
    is_undertrained,
    plan_batches,
    plan_gradient_steps,
    select_train_frames,
    share_batch,
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
    return select_train_frames(make_frames(list("abcd") * 3), n_train_frames, seed=seed)


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
        select_train_frames(frames, wanted, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_without_some_materials_the_same_others_are_selected_first(seed: int) -> None:
    """The two first of three materials stay, whichever other one is left out."""
    every = make_frames(list("abcdefgh"))
    chosen = set(select_train_frames(every, 4, seed=seed).material_ids)
    others = set("abcdefgh") - chosen

    for dropped in others:
        rest = every[every.material_ids != dropped]
        assert set(select_train_frames(rest, 4, seed=seed).material_ids) == chosen


@pytest.mark.parametrize(
    ("errors", "undertrained"),
    [
        ([1.0, 0.5, 0.4, 0.3, 0.2, 0.1], True),
        ([1.0, 0.5, 0.31, 0.3, 0.3, 0.3], False),
        ([1.0, 0.5, 0.3, 0.3, 0.3, 0.28], True),
        ([1.0, 0.5, 0.3, 0.3, 0.3, 0.29], False),
        ([1.0, 0.5, 0.1, 0.3, 0.2, 0.15], False),
        ([1.0], True),
        ([], False),
    ],
)
def test_a_training_whose_error_still_falls_is_undertrained(
    errors: list[float], *, undertrained: bool
) -> None:
    assert is_undertrained(errors) is undertrained


COSTS = np.random.default_rng(0).integers(1, 60, size=103)


def plan(n_frames: int, epoch: int = 0, seed: int = 0) -> list[list[int]]:
    """Plan batches of eight frames."""
    settings = FineTuningSettings(batch_size=8, seed=seed)
    return [batch.tolist() for batch in plan_batches(n_frames, epoch, settings)]


@pytest.mark.parametrize("n_frames", [1, 8, 64, 103])
def test_every_frame_is_in_one_batch_of_each_epoch(n_frames: int) -> None:
    batches = plan(n_frames, epoch=2)

    assert sorted(np.concatenate(batches)) == list(range(n_frames))
    assert [len(batch) for batch in batches[:-1]] == [8] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= 8


@pytest.mark.parametrize("n_replayed", [1, 13, 200])
def test_replayed_frames_are_spread_over_the_batches_of_the_others(
    n_replayed: int,
) -> None:
    settings = FineTuningSettings(batch_size=8)
    batches = plan_batches(103, 2, settings, n_replayed=n_replayed)

    assert [batch[batch < 103].tolist() for batch in batches] == plan(103, epoch=2)
    assert sorted(np.concatenate(batches)) == list(range(103 + n_replayed))
    sizes = [int((batch >= 103).sum()) for batch in batches]
    assert max(sizes) - min(sizes) <= 1


def test_the_batches_of_an_epoch_are_reproducible() -> None:
    assert plan(103, epoch=5) == plan(103, epoch=5)


@pytest.mark.parametrize("n_frames", [16, 64, 512])
def test_another_seed_or_epoch_has_other_batches_also_of_few_frames(
    n_frames: int,
) -> None:
    """Compared as sets of sets: neither batches nor their order repeat."""
    plans = [plan(n_frames, epoch, seed) for epoch in range(5) for seed in range(5)]

    contents = {frozenset(map(frozenset, batches)) for batches in plans}
    assert len(contents) == len(plans)


def test_every_pair_of_frames_shares_a_batch_with_the_same_probability() -> None:
    """Sixteen frames in batches of eight: 7 of 15 pairs, whatever their costs."""
    together = [
        any({0, 1} <= set(batch) for batch in plan(16, epoch)) for epoch in range(2000)
    ]

    assert np.mean(together) == pytest.approx(7 / 15, abs=0.04)


@pytest.mark.parametrize("n_ranks", [1, 2, 4])
def test_the_ranks_of_a_batch_have_parts_of_about_the_same_cost(n_ranks: int) -> None:
    """Dealing there and back leaves no more than one frame between two ranks."""
    batch = np.random.default_rng(1).permutation(103)[:64]

    parts = share_batch(batch, COSTS, n_ranks)

    totals = [int(COSTS[part].sum()) for part in parts]
    assert sorted(np.concatenate(parts)) == sorted(batch)
    assert {len(part) for part in parts} == {64 // n_ranks}
    assert max(totals) - min(totals) <= COSTS.max()


def test_a_rank_without_a_frame_of_a_small_batch_has_an_empty_part() -> None:
    parts = share_batch(np.array([3]), COSTS, 2)

    assert [part.tolist() for part in parts] == [[3], []]


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
