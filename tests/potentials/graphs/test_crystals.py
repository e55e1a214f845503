from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Structure

from nextrung.potentials.graphs.crystals import (
    Crystals,
    describe_unusable,
    list_rows,
    select,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

CELL = Lattice.cubic(4.0)
SALT = Structure(CELL, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
IRON = Structure(Lattice.cubic(2.9), ["Fe"], [[0.1, 0.2, 0.3]])


def test_rows_of_groups_follow_the_order_of_the_groups() -> None:
    assert list_rows(np.array([0, 2, 2, 5]), np.array([2, 0, 2])).tolist() == [
        2, 3, 4, 0, 1, 2, 3, 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "indices"),
    [([2, 0, 2], [2, 0, 2]), ([-1], [2]), ([True, False, True], [0, 2]), ([], [])],
)
def test_selections_are_indices_or_masks(
    chosen: list[int] | list[bool], indices: list[int]
) -> None:
    assert select(3, chosen).tolist() == indices


def test_structures_survive_the_round_trip() -> None:
    assert Crystals.of([SALT, IRON]).to_structures() == [SALT, IRON]


def test_selected_crystals_keep_the_order_asked_for() -> None:
    crystals = Crystals.of([SALT, IRON, SALT])
    assert crystals[[1, 0]].to_structures() == [IRON, SALT]
    assert crystals[crystals.n_atoms == 1].to_structures() == [IRON]


def test_no_crystals_are_crystals_too() -> None:
    assert len(Crystals.of([])) == 0
    assert len(Crystals.of([SALT])[[]]) == 0


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
def test_structures_without_crystal_are_refused_by_number(
    structure: Structure, reason: str
) -> None:
    assert reason in str(describe_unusable(structure))
    with pytest.raises(InputError, match=f"structure 1: .*{reason}"):
        Crystals.of([SALT, structure])
