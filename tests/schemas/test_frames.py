from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames


def make_numbered_frames(n_atoms: list[int]) -> Frames:
    """Frames whose every site and frame label is its own running number."""
    structures = [
        Structure(
            Lattice.orthorhombic(3, 4, 5 + index),
            ["H"] * size,
            np.linspace(0, 0.9, 3 * size).reshape(size, 3),
        )
        for index, size in enumerate(n_atoms)
    ]
    frames = Frames.from_structures(structures, functional="PBE")
    frames.energies[:] = np.arange(len(frames))
    frames.magmoms[:] = np.arange(sum(n_atoms))
    frames.forces[:] = frames.magmoms[:, None]
    return frames


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_selection_agrees_with_selection_frame_by_frame(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    chosen = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=8))
    frames = make_numbered_frames(sizes)
    sites = np.split(frames.magmoms, frames.offsets[1:-1])

    selected = frames[np.array(chosen, dtype=int)]

    assert selected.n_atoms.tolist() == [sizes[index] for index in chosen]
    assert selected.energies.tolist() == chosen
    expected = np.concatenate([np.zeros(0), *(sites[index] for index in chosen)])
    np.testing.assert_array_equal(selected.magmoms, expected)
    np.testing.assert_array_equal(selected.forces[:, 2], expected)


def test_slices_and_masks_select_like_indices() -> None:
    frames = make_numbered_frames([1, 3, 2])

    by_slice, by_mask = frames[1:], frames[np.array([False, True, True])]

    assert by_slice.frame_ids.tolist() == by_mask.frame_ids.tolist() == ["1", "2"]
    np.testing.assert_array_equal(by_slice.lattices, frames.lattices[[1, 2]])
    assert by_slice.offsets.tolist() == by_mask.offsets.tolist() == [0, 3, 5]


def test_a_single_index_is_rejected() -> None:
    with pytest.raises(TypeError, match="a slice, a list or an array"):
        make_numbered_frames([1])[np.array(0)]


def test_structures_are_unchanged_by_a_round_trip() -> None:
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    dot = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])

    assert Frames.from_structures([salt, dot]).to_structures() == [salt, dot]


def test_frames_of_structures_have_no_labels() -> None:
    frames = Frames.from_structures([Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])])

    for labels in (frames.energies, frames.forces, frames.stresses, frames.magmoms):
        assert np.isnan(labels).all()


def test_no_structures_make_no_frames() -> None:
    frames = Frames.from_structures([])

    assert len(frames) == 0
    assert frames.to_structures() == []
    assert frames.lattices.shape == (0, 3, 3)


def test_sites_have_the_index_of_their_frame() -> None:
    assert make_numbered_frames([2, 1]).frame_of_site.tolist() == [0, 0, 1]


def test_splits_divide_the_frames() -> None:
    frames = make_numbered_frames([1, 2, 3]).with_splits(
        np.array(["train", "test", "train"])
    )

    assert frames.split("train").frame_ids.tolist() == ["0", "2"]
    assert frames.split("test").n_atoms.tolist() == [2]
    assert len(frames.split("val")) == 0


def test_compositions_count_the_atoms_of_each_frame() -> None:
    water = Structure(
        Lattice.cubic(4), ["H", "O", "H"], [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0]]
    )
    salt = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])

    compositions = Frames.from_structures([water, salt, water]).compositions()

    assert compositions == [water.composition, salt.composition, water.composition]
    assert compositions[0] is compositions[2]


def test_concatenation_undoes_slicing() -> None:
    frames = make_numbered_frames([2, 3, 1, 4])

    joined = Frames.concatenate([frames[:1], frames[1:3], frames[3:]])

    assert joined.offsets.tolist() == frames.offsets.tolist()
    assert joined.frame_ids.tolist() == frames.frame_ids.tolist()
    np.testing.assert_array_equal(joined.frac_coords, frames.frac_coords)
    np.testing.assert_array_equal(joined.forces, frames.forces)
    assert len(Frames.concatenate([])) == 0


def test_labels_of_two_functionals_are_not_mixed() -> None:
    structure = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])
    parts = [
        Frames.from_structures([structure], functional=functional)
        for functional in ("r2SCAN", "PBE")
    ]

    with pytest.raises(InputError, match="expected one functional, got PBE, r2SCAN"):
        Frames.concatenate(parts)


def test_partial_occupancy_is_rejected_by_name() -> None:
    alloy = Structure(Lattice.cubic(3), [{"Cu": 0.5, "Zn": 0.5}], [[0, 0, 0]])

    with pytest.raises(InputError, match=r"brass: .* partial occupancy in Zn0\.5"):
        Frames.from_structures([alloy], ["brass"])
