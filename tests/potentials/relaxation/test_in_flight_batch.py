from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.potentials.relaxation.in_flight_batch import BatchItem, InFlightBatch

SALT = Structure(
    Lattice.cubic(4),
    ["Na+", "Cl-"],
    [[0, 0, 0], [0.5, 0.5, 1.5]],
    coords_are_cartesian=False,
)
IRON = Structure(Lattice.orthorhombic(2, 3, 4), ["Fe"], [[0.1, 0, 0]])


@pytest.fixture
def batch() -> InFlightBatch:
    return InFlightBatch.start([BatchItem(4, SALT), BatchItem(2, IRON)])


def test_a_flight_asks_about_its_structures_as_they_are(batch: InFlightBatch) -> None:
    crystals = batch.crystals

    assert crystals.offsets.tolist() == [0, 2, 3]
    assert crystals.atomic_numbers.tolist() == [11, 17, 26]
    np.testing.assert_array_equal(crystals.lattices[1], IRON.lattice.matrix)
    np.testing.assert_allclose(
        crystals.frac_coords, np.concatenate([SALT.frac_coords, IRON.frac_coords])
    )


def test_a_step_moves_all_and_remembers_where_they_were(batch: InFlightBatch) -> None:
    forces = np.zeros((9, 3))
    forces[0, 0] = 1.0
    forces[6:, :] = np.eye(3)

    moved = batch.step(forces)

    assert moved.n_steps.tolist() == [1, 1]
    before = moved.structure_at(moved.previous, 0)
    after = moved.structure_at(moved.coordinates, 0)
    np.testing.assert_allclose(before.cart_coords, SALT.cart_coords)
    moved_by = after.cart_coords - SALT.cart_coords
    expected = [[0.01, 0.0, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(moved_by, expected, atol=1e-15)
    grown = moved.structure_at(moved.coordinates, 1)
    growth = grown.lattice.matrix @ IRON.lattice.inv_matrix
    np.testing.assert_allclose(growth, np.exp(0.01) * np.eye(3), atol=1e-15)
    np.testing.assert_allclose(grown.frac_coords, IRON.frac_coords)


def test_structures_keep_their_species_and_images(batch: InFlightBatch) -> None:
    """Oxidation states stay, and coordinates are not wrapped."""
    structure = batch.structure_at(batch.coordinates, 0)

    assert structure.species == SALT.species
    assert structure.frac_coords[1, 2] == pytest.approx(1.5)


def test_some_leave_and_others_board(batch: InFlightBatch) -> None:
    boarded = batch.keep(np.array([False, True])).join(batch)

    assert [item.index for item in boarded.items] == [2, 4, 2]
    assert boarded.crystals.atomic_numbers.tolist() == [26, 11, 17, 26]
    assert len(boarded) == len(boarded.n_steps) == len(boarded.initial_energies) == 3


def test_an_empty_flight_can_step() -> None:
    batch = InFlightBatch.start([]).step(np.zeros((0, 3)))

    assert len(batch) == len(batch.crystals) == 0
