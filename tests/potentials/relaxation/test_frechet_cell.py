from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.filters import FrechetCellFilter
from scipy.linalg import expm, expm_frechet

from nextrung.potentials.relaxation.frechet_cell import Coordinates, generalise_forces
from nextrung.potentials.relaxation.matrix_exponential import (
    differentiate_exponential,
    exponentiate,
)
from nextrung.schemas.relaxation import CellDegrees

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


def displace(coordinates: Coordinates, moves: NDArray[np.float64]) -> Coordinates:
    """Displace every row."""
    return replace(coordinates, rows=coordinates.rows + moves)


@pytest.mark.parametrize("degrees", CellDegrees)
def test_forces_on_deformed_crystals_are_those_of_the_filter(
    crystals: list[Atoms], degrees: CellDegrees
) -> None:
    """Both are moved to the same coordinates, far from the reference cell."""
    coordinates = coordinates_of(crystals)
    moves = np.random.default_rng(5).normal(scale=0.3, size=coordinates.rows.shape)
    filters = [
        FrechetCellFilter(a, constant_volume=degrees is CellDegrees.FIXED_VOLUME)
        for a in crystals
    ]
    starts = np.cumsum(coordinates.n_rows)[:-1]
    for degree, move in zip(filters, np.split(moves, starts), strict=True):
        degree.set_positions(degree.get_positions() + move)

    moved = displace(coordinates, moves)
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
    moved = displace(coordinates, rng.normal(scale=0.1, size=coordinates.rows.shape))

    def energy_at(moved: Coordinates) -> float:
        atoms.set_cell(moved.lattices[0])
        atoms.set_scaled_positions(moved.frac_coords)
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
        ahead = energy_at(displace(moved, 1e-5 * direction))
        behind = energy_at(displace(moved, -1e-5 * direction))
        slope = (ahead - behind) / 2e-5
        assert slope == pytest.approx(-(forces * direction).sum(), rel=1e-6)


def test_a_fixed_volume_does_not_change(crystals: list[Atoms]) -> None:
    coordinates = coordinates_of(crystals)
    forces = generalise_forces(
        coordinates,
        np.concatenate([atoms.get_forces() for atoms in crystals]),
        np.array([atoms.get_stress(voigt=False) for atoms in crystals]),
        degrees=CellDegrees.FIXED_VOLUME,
    )

    moved = displace(coordinates, 0.1 * forces)

    np.testing.assert_allclose(
        np.linalg.det(moved.lattices), np.linalg.det(coordinates.lattices)
    )
    assert np.abs(moved.lattices - coordinates.lattices).max() > 1e-3


def test_fractional_coordinates_do_not_depend_on_the_deformation(
    crystals: list[Atoms],
) -> None:
    coordinates = coordinates_of(crystals)
    moves = np.zeros_like(coordinates.rows)
    moves[coordinates.cell_rows] = 0.2

    moved = displace(coordinates, moves)

    np.testing.assert_allclose(moved.frac_coords, coordinates.frac_coords, atol=1e-14)


def test_crystals_that_are_kept_keep_every_bit(crystals: list[Atoms]) -> None:
    coordinates = coordinates_of(crystals)
    moved = displace(
        coordinates,
        np.random.default_rng(4).normal(scale=0.1, size=coordinates.rows.shape),
    )

    shuffled = moved.keep(np.array([False, True, True])).join(
        moved.keep(np.array([True, False, False]))
    )

    np.testing.assert_array_equal(shuffled.lattices, moved.lattices[[1, 2, 0]])
    np.testing.assert_array_equal(
        shuffled.frac_coords, moved.frac_coords[[1, 2, 3, 4, 5, 0]]
    )
    assert shuffled.offsets.tolist() == [0, 3, 5, 6]


@pytest.mark.parametrize("scale", [0.0, 1e-8, 0.1, 1.0, 20.0])
def test_exponentials_are_those_of_scipy(scale: float) -> None:
    matrices = scale * np.random.default_rng(0).normal(size=(7, 3, 3))

    expected = expm(matrices)

    tolerance = 1e-12 * np.abs(expected).max()
    np.testing.assert_allclose(exponentiate(matrices), expected, atol=tolerance)


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0])
def test_derivatives_of_the_exponential_are_those_of_scipy(scale: float) -> None:
    rng = np.random.default_rng(1)
    matrices, directions = (
        scale * rng.normal(size=(4, 3, 3)),
        rng.normal(size=(4, 3, 3)),
    )

    derivatives = differentiate_exponential(matrices, 1e4 * directions)

    for derivative, matrix, direction in zip(
        derivatives, matrices, directions, strict=True
    ):
        expected = expm_frechet(matrix, 1e4 * direction, compute_expm=False)
        np.testing.assert_allclose(derivative, expected, rtol=1e-10, atol=1e-8)


def test_exponentials_do_not_depend_on_each_other() -> None:
    """Bit for bit, of small and large matrices."""
    matrices = np.random.default_rng(3).normal(size=(5, 3, 3))
    matrices *= np.array([1e-4, 0.1, 1.0, 5.0, 30.0])[:, None, None]

    together = exponentiate(matrices)

    for matrix, exponential in zip(matrices, together, strict=True):
        np.testing.assert_array_equal(exponentiate(matrix[None])[0], exponential)
