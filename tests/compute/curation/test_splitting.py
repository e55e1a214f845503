from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.materials import list_elements
from nextrung.compute.curation.splitting import split_materials
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import SplitSettings
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from numpy.typing import NDArray


def frames_of(materials: list[tuple[str, list[str]]]) -> Frames:
    """One frame per (material, elements)."""
    structures = [
        Structure(Lattice.cubic(9), elements, np.zeros((len(elements), 3)))
        for _, elements in materials
    ]
    frames = Frames.from_structures(structures)
    return replace(frames, material_ids=np.array([name for name, _ in materials]))


def split_frames(frames: Frames, settings: SplitSettings) -> NDArray[np.str_]:
    """Split the materials of frames; the split of every frame."""
    splits = split_materials(list_elements(frames), settings)
    return np.array([splits[name] for name in frames.material_ids.tolist()])


def carbons(n_materials: int) -> Frames:
    return frames_of([(f"mp-{index}", ["C"]) for index in range(n_materials)])


def test_validation_and_test_have_the_sizes_of_the_paper() -> None:
    """int(0.1 N) materials each, and training the rest: 34,927 → 27,943 and 3,492."""
    splits = split_frames(carbons(127), SplitSettings())

    assert {n: int((splits == n).sum()) for n in ("train", "val", "test")} == {
        "train": 127 - 12 - 12,
        "val": 12,
        "test": 12,
    }


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 50), n_frames=st.lists(st.integers(1, 4), min_size=10))
def test_a_material_is_never_in_two_splits(seed: int, n_frames: list[int]) -> None:
    frames = frames_of(
        [(f"mp-{i}", ["C"]) for i, n in enumerate(n_frames) for _ in range(n)]
    )

    splits = split_frames(frames, SplitSettings(seed=seed))

    for name in set(frames.material_ids.tolist()):
        assert len(set(splits[frames.material_ids == name].tolist())) == 1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 200))
def test_every_element_is_in_training(seed: int) -> None:
    """Na and Cl are in one material each, which therefore trains."""
    frames = frames_of(
        [("a", ["Na", "C"]), ("b", ["C", "Cl"])]
        + [(f"c{index}", ["C", "O"]) for index in range(10)]
    )

    splits = split_frames(frames, SplitSettings(val=0.25, test=0.25, seed=seed))

    train = frames.with_splits(splits).split("train")
    assert set(train.atomic_numbers.tolist()) == set(frames.atomic_numbers.tolist())
    assert (splits == "val").sum() == (splits == "test").sum() == 3


def test_elements_may_be_held_out_where_the_settings_say_so() -> None:
    """With one material per element, some element is missing in training."""
    frames = frames_of([(element, [element]) for element in ("H", "C", "N", "O")])

    splits = split_frames(
        frames, SplitSettings(val=0.25, test=0.25, keep_elements_in_train=False)
    )

    assert sorted(splits.tolist()) == ["test", "train", "train", "val"]


def test_the_split_depends_on_the_seed_and_on_nothing_else() -> None:
    frames = carbons(40)
    first = split_frames(frames, SplitSettings(seed=1))

    np.testing.assert_array_equal(first, split_frames(frames, SplitSettings(seed=1)))
    assert (first != split_frames(frames, SplitSettings(seed=2))).any()


def test_the_order_of_the_frames_does_not_change_the_split() -> None:
    frames = carbons(40)
    order = np.random.default_rng(0).permutation(40)

    splits = split_frames(frames, SplitSettings())

    np.testing.assert_array_equal(
        split_frames(frames[order], SplitSettings()), splits[order]
    )


def test_a_fraction_of_zero_makes_an_empty_split() -> None:
    splits = split_frames(carbons(5), SplitSettings(val=0, test=0))

    assert set(splits.tolist()) == {"train"}


def test_an_empty_split_is_rejected() -> None:
    with pytest.raises(InputError, match=r"test split is empty: 0.1 of 9 materials"):
        split_frames(carbons(9), SplitSettings())


def test_too_many_rare_elements_are_rejected() -> None:
    frames = frames_of([(element, [element]) for element in ("H", "C", "N", "O")])

    with pytest.raises(InputError, match=r"test split cannot be filled: .* 4 mat"):
        split_frames(frames, SplitSettings(val=0.25, test=0.25))


def test_a_group_is_in_one_split_and_splits_keep_their_sizes() -> None:
    frames = carbons(40)
    names = frames.material_ids.tolist()
    groups = {name: f"group-{index // 2}" for index, name in enumerate(names)}

    splits = split_materials(list_elements(frames), SplitSettings(), groups)

    listed = list(splits.values())
    assert listed[::2] == listed[1::2]
    assert {name: listed.count(name) for name in set(listed)} == {
        "train": 32,
        "val": 4,
        "test": 4,
    }


def test_groups_of_one_material_are_split_as_materials_without_groups() -> None:
    elements = list_elements(carbons(50))

    alone = split_materials(
        elements, SplitSettings(), {name: name for name in elements}
    )

    assert alone == split_materials(elements, SplitSettings())


def test_a_group_larger_than_a_split_stays_in_training() -> None:
    frames = carbons(40)
    names = frames.material_ids.tolist()
    groups = dict.fromkeys(names[:15], "large")

    splits = split_materials(list_elements(frames), SplitSettings(), groups)

    assert {splits[name] for name in names[:15]} == {"train"}
    assert list(splits.values()).count("test") == 4


def test_splits_that_only_large_groups_could_fill_are_refused() -> None:
    frames = carbons(40)
    groups = dict.fromkeys(frames.material_ids.tolist(), "all")

    with pytest.raises(InputError, match="40 materials are 1 group,"):
        split_materials(list_elements(frames), SplitSettings(), groups)


@pytest.mark.parametrize("seed", [0, 3])
def test_folds_test_and_validate_every_material_once(seed: int) -> None:
    """Eleven materials in four folds, three seeds of folds later than the first."""
    frames = carbons(11)

    splits = np.array(
        [
            split_frames(frames, SplitSettings(folds=4, seed=4 * seed + fold))
            for fold in range(4)
        ]
    )

    for name in ("test", "val"):
        assert ((splits == name).sum(axis=0) == 1).all()
    assert {(row == "test").sum() for row in splits} == {2, 3}


def test_other_seeds_draw_other_folds() -> None:
    frames = carbons(20)
    first, second = (
        split_frames(frames, SplitSettings(folds=4, seed=seed)) for seed in (0, 4)
    )

    assert (first != second).any()


def test_folds_keep_the_last_material_of_an_element_in_training() -> None:
    frames = frames_of(
        [("a", ["Na", "C"])] + [(f"c{index}", ["C", "O"]) for index in range(8)]
    )

    splits = [split_frames(frames, SplitSettings(folds=3, seed=s)) for s in range(3)]

    assert [split[0] for split in splits] == ["train"] * 3


def test_more_folds_than_materials_are_rejected() -> None:
    with pytest.raises(InputError, match=r"expected 5 or more groups .* got 4"):
        split_frames(carbons(4), SplitSettings(folds=5))
