from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Structure

from nextrung.potentials.graphs.crystals import (
    Crystals,
    describe_unusable,
    list_rows,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from nextrung.potentials.graphs.crystals import Selection

CELL = Lattice.cubic(4.0)
SALT = Structure(CELL, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
IRON = Structure(Lattice.cubic(2.9), ["Fe"], [[0.1, 0.2, 0.3]])
GOLD = Structure(Lattice.cubic(2.8), ["Au"], [[0, 0, 0]])


def test_rows_of_groups_follow_the_order_of_the_groups() -> None:
    assert list_rows(np.array([0, 2, 2, 5]), np.array([2, 0, 2])).tolist() == [
        2, 3, 4, 0, 1, 2, 3, 4,
    ]  # fmt: skip


def build_structures(crystals: Crystals) -> list[Structure]:
    """Build the structure of each crystal."""
    return [
        Structure(
            crystals.lattices[index],
            crystals.atomic_numbers[start:stop].tolist(),
            crystals.frac_coords[start:stop],
        )
        for index, (start, stop) in enumerate(pairwise(crystals.offsets))
    ]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([2, 0, 2], [GOLD, SALT, GOLD]),
        ([-1], [GOLD]),
        ([True, False, True], [SALT, GOLD]),
        (np.array([False, True, False]), [IRON]),
        (slice(1, None), [IRON, GOLD]),
        ([], []),
    ],
)
def test_crystals_are_selected_by_indices_masks_and_slices(
    chosen: Selection, expected: list[Structure]
) -> None:
    crystals = Crystals.of([SALT, IRON, GOLD])

    assert build_structures(crystals[chosen]) == expected


def test_structures_are_flattened_in_their_order() -> None:
    assert build_structures(Crystals.of([SALT, IRON])) == [SALT, IRON]
    assert len(Crystals.of([])) == 0


def test_frames_and_structures_give_the_same_crystals() -> None:
    direct = Crystals.of([SALT, IRON])
    through = Crystals.from_frames(Frames.from_structures([SALT, IRON]))
    for name in ("offsets", "atomic_numbers", "lattices", "frac_coords"):
        np.testing.assert_array_equal(getattr(direct, name), getattr(through, name))


def test_cartesian_coordinates_are_those_of_pymatgen() -> None:
    skewed = Structure(
        Lattice([[3, 0, 0], [1, 4, 0], [0.5, 1, 5]]), ["Fe"], [[1.2, -0.3, 0.4]]
    )
    crystals = Crystals.of([SALT, skewed])
    expected = np.concatenate([SALT.cart_coords, skewed.cart_coords])
    np.testing.assert_allclose(crystals.cart_coords, expected)


def test_selecting_all_crystals_copies_nothing() -> None:
    crystals = Crystals.of([SALT, SALT])
    assert crystals[:] is crystals[np.array([0, 1])] is crystals
    assert crystals[::-1] is not crystals


def test_wrapped_crystals_have_their_sites_in_the_cell() -> None:
    outside = SALT.copy()
    outside.translate_sites([1], [-2, 0, 1], to_unit_cell=False)
    crystals = Crystals.of([outside])
    wrapped, cells = crystals.wrap()
    assert cells.tolist() == [[0, 0, 0], [-2, 0, 1]]
    np.testing.assert_allclose(wrapped.frac_coords, SALT.frac_coords, atol=1e-12)


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        (Structure(CELL, [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]]), "disordered"),
        (Structure(CELL, [{"Na": 0.5}], [[0, 0, 0]]), "disordered"),
        (Structure(CELL, [DummySpecies("X")], [[0, 0, 0]]), "dummy"),
        (
            Structure(
                Lattice(CELL.matrix, pbc=(True, True, False)), ["Na"], [[0, 0, 0]]
            ),
            "periodic",
        ),
    ],
)
def test_unusable_structures_are_rejected_with_their_index(
    structure: Structure, reason: str
) -> None:
    assert reason in str(describe_unusable(structure))
    with pytest.raises(InputError, match=f"structure 1: .*{reason}"):
        Crystals.of([SALT, structure])
