from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.physics.repulsion import (
    approach_dimer,
    compress_crystal,
    find_smallest_rise,
)
from nextrung.schemas.physics import RepulsionSettings

SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
SETTINGS = RepulsionSettings(n_distances=5, closest_in_crystal=1.0)


def test_crystals_are_compressed_to_the_closest_distance() -> None:
    edges = [each.lattice.a / 2 for each in compress_crystal(SALT, SETTINGS)]

    assert edges[0] == pytest.approx(0.9 * 2.82)
    assert edges[-1] == pytest.approx(1.0)
    assert edges == sorted(edges, reverse=True)


def test_dimers_are_of_the_nearest_neighbors_and_below_their_bond_length() -> None:
    dimers = approach_dimer(SALT, SETTINGS)

    assert {each.formula for each in dimers} == {"Na1 Cl1"}
    distances = [each.get_distance(0, 1) for each in dimers]
    assert distances[0] == pytest.approx(0.7 * (1.66 + 1.02))  # Cordero's radii
    assert distances[0] < 2.36  # bond of the NaCl molecule
    assert distances[-1] == pytest.approx(SETTINGS.closest_in_dimer)


def test_an_atom_of_a_one_atom_cell_has_its_image_as_neighbor() -> None:
    iron = Structure(Lattice.cubic(2.866), ["Fe", "Fe"], [[0] * 3, [0.5] * 3])

    dimers = approach_dimer(iron.get_primitive_structure(), SETTINGS)

    assert {each.formula for each in dimers} == {"Fe2"}


def test_one_fall_of_the_energy_is_the_smallest_rise() -> None:
    assert find_smallest_rise([0.0, 2.0, 1.0, 8.0], n_atoms=2) == -0.5
    assert find_smallest_rise([0.0, 2.0, 3.0, 8.0], n_atoms=2) == 0.5
