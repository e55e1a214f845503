from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.filters import FrechetCellFilter

from nextrung.potentials.relaxation.frechet_cell import Coordinates, generalise_forces
from nextrung.schemas.relaxation import CellDegrees


def make_atoms(seed: int, n_atoms: int) -> Atoms:
    """A random crystal with Lennard-Jones atoms."""
    rng = np.random.default_rng(seed)
    cell = 2.3 * n_atoms ** (1 / 3) * (np.eye(3) + rng.normal(size=(3, 3)) * 0.1)
    fracs = np.linspace(0, 1, n_atoms, endpoint=False)[:, None] + rng.normal(
        scale=0.03, size=(n_atoms, 3)
    )
    atoms = Atoms("C" * n_atoms, scaled_positions=fracs, cell=cell, pbc=True)
    atoms.calc = LennardJones(sigma=2.0, epsilon=0.3, rc=5.0, smooth=True)
    return atoms


@pytest.fixture
def crystals() -> list[Atoms]:
    return [make_atoms(seed, n_atoms) for seed, n_atoms in enumerate((1, 3, 2))]


def coordinates_of(crystals: list[Atoms]) -> Coordinates:
    """Coordinates with the present cells for reference."""
    return Coordinates.undeformed(
        [atoms.cell.array for atoms in crystals],
        [atoms.get_scaled_positions(wrap=False) for atoms in crystals],
    )


@pytest.mark.parametrize("degrees", CellDegrees)
def test_forces_on_deformed_crystals_are_those_of_the_filter(
    crystals: list[Atoms], degrees: CellDegrees
) -> None:
    """Both move to the same coordinates first, far from the reference cell."""
    coordinates = coordinates_of(crystals)
    moves = np.random.default_rng(5).normal(scale=0.3, size=coordinates.rows.shape)
    filters = [
        FrechetCellFilter(a, constant_volume=degrees is CellDegrees.FIXED_VOLUME)
        for a in crystals
    ]
    starts = np.cumsum(coordinates.n_rows)[:-1]
    for degree, move in zip(filters, np.split(moves, starts), strict=True):
        degree.set_positions(degree.get_positions() + move)

    moved = coordinates.displace(moves)
    forces = generalise_forces(
        moved,
        np.concatenate([atoms.get_forces() for atoms in crystals]),
        np.array([atoms.get_stress(voigt=False) for atoms in crystals]),
        degrees=degrees,
    )

    expected = np.concatenate([degree.get_forces() for degree in filters])
    if degrees is CellDegrees.FIXED:
        expected[~coordinates.is_atom] = 0
    cells = np.array([atoms.cell.array for atoms in crystals])
    np.testing.assert_allclose(moved.lattices, cells, atol=1e-12)
    np.testing.assert_allclose(forces, expected, atol=1e-10)


def test_forces_are_minus_the_gradient_of_the_energy(crystals: list[Atoms]) -> None:
    """Central differences along random directions; the cell's rows count n-fold."""
    atoms = crystals[1]
    coordinates = coordinates_of([atoms])
    rng = np.random.default_rng(2)
    moved = coordinates.displace(rng.normal(scale=0.1, size=coordinates.rows.shape))

    def energy_at(place: Coordinates) -> float:
        atoms.set_cell(place.lattices[0])
        atoms.set_scaled_positions(place.frac_coords)
        return float(atoms.get_potential_energy())

    energy_at(moved)
    forces = generalise_forces(
        moved,
        atoms.get_forces(),
        atoms.get_stress(voigt=False)[None],
        degrees=CellDegrees.FULL,
    )
    for _ in range(5):
        direction = rng.normal(size=forces.shape)
        ahead = energy_at(moved.displace(1e-5 * direction))
        behind = energy_at(moved.displace(-1e-5 * direction))
        slope = (ahead - behind) / 2e-5
        assert slope == pytest.approx(-(forces * direction).sum(), rel=1e-6)


def test_a_fixed_volume_stays(crystals: list[Atoms]) -> None:
    coordinates = coordinates_of(crystals)
    forces = generalise_forces(
        coordinates,
        np.concatenate([atoms.get_forces() for atoms in crystals]),
        np.array([atoms.get_stress(voigt=False) for atoms in crystals]),
        degrees=CellDegrees.FIXED_VOLUME,
    )

    moved = coordinates.displace(0.1 * forces)

    np.testing.assert_allclose(
        np.linalg.det(moved.lattices), np.linalg.det(coordinates.lattices)
    )
    assert np.abs(moved.lattices - coordinates.lattices).max() > 1e-3


def test_fractional_coordinates_do_not_feel_the_deformation(
    crystals: list[Atoms],
) -> None:
    coordinates = coordinates_of(crystals)
    moves = np.zeros_like(coordinates.rows)
    moves[coordinates.cell_rows] = 0.2

    moved = coordinates.displace(moves)

    np.testing.assert_allclose(moved.frac_coords, coordinates.frac_coords, atol=1e-14)


def test_crystals_that_stay_keep_every_bit(crystals: list[Atoms]) -> None:
    coordinates = coordinates_of(crystals)
    moved = coordinates.displace(
        np.random.default_rng(4).normal(scale=0.1, size=coordinates.rows.shape)
    )

    shuffled = moved.keep(np.array([False, True, True])).join(
        moved.keep(np.array([True, False, False]))
    )

    np.testing.assert_array_equal(shuffled.lattices, moved.lattices[[1, 2, 0]])
    np.testing.assert_array_equal(
        shuffled.frac_coords, moved.frac_coords[[1, 2, 3, 4, 5, 0]]
    )
    assert shuffled.offsets.tolist() == [0, 3, 5, 6]
