"""Frechet cell filter: generalised coordinates of positions and cells of crystals.

A crystal has a row per atom, its position in the undeformed cell, and three more rows,
the logarithm of the deformation gradient times the number of atoms: the coordinates of
ASE's ``FrechetCellFilter`` [1]_.

References
----------
.. [1] ASE 3.29, ``ase.filters.FrechetCellFilter``; the gradient with respect to the
   logarithm is derived in github.com/lan496/lan496.github.io, notes/cell_grad.pdf.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, Self

import numpy as np

from nextrung.potentials.relaxation.matrix_exponential import (
    differentiate_exponential,
    exponentiate,
)
from nextrung.potentials.relaxation.system_batch import SystemBatch
from nextrung.schemas.relaxation import CellDegrees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Rows of the cell, after those of the atoms.
CELL_ROWS: Final = 3


@dataclass(frozen=True, eq=False)
class Coordinates(SystemBatch):
    """Generalised coordinates of a batch of crystals, crystal after crystal.

    Parameters
    ----------
    n_rows : ndarray of int, shape (n_crystals,)
        Rows of each crystal: its atoms and three.
    reference_lattices : ndarray of float, shape (n_crystals, 3, 3)
        Undeformed lattice vectors as rows in Å.
    rows : ndarray of float, shape ((n_atoms + 3).sum(), 3)
        Undeformed positions in Å and scaled logarithms of the deformation.
    """

    ROW_FIELDS: ClassVar = frozenset({"rows"})

    n_rows: NDArray[np.int64]
    reference_lattices: NDArray[np.float64]
    rows: NDArray[np.float64]

    @classmethod
    def undeformed(
        cls,
        lattices: Sequence[NDArray[np.float64]],
        fracs: Sequence[NDArray[np.float64]],
    ) -> Self:
        """Build coordinates whose reference is the present cell.

        Parameters
        ----------
        lattices : sequence of ndarray of float, shape (3, 3)
            Lattice vectors of each crystal as rows in Å.
        fracs : sequence of ndarray of float, shape (n_atoms, 3)
            Fractional coordinates of each crystal.
        """
        no_deformation = np.zeros((CELL_ROWS, 3))
        blocks = [
            block
            for lattice, frac in zip(lattices, fracs, strict=True)
            for block in (frac @ lattice, no_deformation)
        ]
        return cls(
            n_rows=np.array([len(frac) for frac in fracs], np.int64) + CELL_ROWS,
            reference_lattices=np.array(lattices, dtype=np.float64).reshape(-1, 3, 3),
            rows=np.concatenate([np.zeros((0, 3)), *blocks]),
        )

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Atoms of crystal ``i`` are ``offsets[i]:offsets[i + 1]`` of all atoms."""
        return np.concatenate([[0], np.cumsum(self.n_atoms)]).astype(np.int64)

    @cached_property
    def n_atoms(self) -> NDArray[np.int64]:
        """Atoms of each crystal, shape (n_crystals,)."""
        return self.n_rows - CELL_ROWS

    @cached_property
    def cell_rows(self) -> NDArray[np.int64]:
        """Indices of the rows of the cells, shape (n_crystals, 3)."""
        ends = np.cumsum(self.n_rows)
        indices: NDArray[np.int64] = ends[:, None] + np.arange(-CELL_ROWS, 0)
        return indices

    @cached_property
    def is_atom(self) -> NDArray[np.bool_]:
        """Mask of the rows of atoms, shape ((n_atoms + 3).sum(),)."""
        mask = np.ones(len(self.rows), dtype=np.bool_)
        mask[self.cell_rows] = False
        return mask

    @cached_property
    def logarithms(self) -> NDArray[np.float64]:
        """Logarithms of the deformation gradients, shape (n_crystals, 3, 3)."""
        logs: NDArray[np.float64] = (
            self.rows[self.cell_rows] / self.n_atoms[:, None, None]
        )
        return logs

    @cached_property
    def deformations(self) -> NDArray[np.float64]:
        """Deformation gradients, shape (n_crystals, 3, 3)."""
        return exponentiate(self.logarithms)

    @cached_property
    def lattices(self) -> NDArray[np.float64]:
        """Lattice vectors as rows in Å, shape (n_crystals, 3, 3)."""
        return self.reference_lattices @ self.deformations.transpose(0, 2, 1)

    @cached_property
    def frac_coords(self) -> NDArray[np.float64]:
        """Fractional coordinates, shape (n_atoms.sum(), 3)."""
        inverses = np.linalg.inv(self.reference_lattices)
        positions = self.rows[self.is_atom]
        return _multiply_rows(positions, inverses.astype(np.float64), self.n_atoms)


def generalise_forces(
    coordinates: Coordinates,
    forces: NDArray[np.float64],
    stresses: NDArray[np.float64],
    *,
    degrees: CellDegrees,
) -> NDArray[np.float64]:
    """Compute the forces on generalised coordinates.

    Parameters
    ----------
    coordinates : Coordinates
        Present coordinates.
    forces : ndarray of float, shape (n_atoms.sum(), 3)
        Forces in eV/Å.
    stresses : ndarray of float, shape (n_crystals, 3, 3)
        Stresses in eV/Å³, compression negative.
    degrees : CellDegrees
        Which degrees of freedom of the cell relax.

    Returns
    -------
    ndarray of float, shape ((n_atoms + 3).sum(), 3)
        Minus the gradient of the energy in eV/Å, for the cell divided by the number
        of atoms; zero for fixed degrees of freedom.
    """
    rows = np.zeros_like(coordinates.rows)
    rows[coordinates.is_atom] = _multiply_rows(
        forces, coordinates.deformations, coordinates.n_atoms
    )
    if degrees is not CellDegrees.FIXED:
        on_cells = _force_on_logarithms(coordinates, stresses)
        if degrees is CellDegrees.FIXED_VOLUME:
            traces = np.trace(on_cells, axis1=1, axis2=2)
            on_cells = on_cells - traces[:, None, None] / 3 * np.eye(3)
        rows[coordinates.cell_rows] = on_cells / coordinates.n_atoms[:, None, None]
    return rows


def _force_on_logarithms(
    coordinates: Coordinates, stresses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute minus the gradient of the energy by the logarithm of the deformation."""
    volumes = np.abs(np.linalg.det(coordinates.lattices))
    symmetric = (stresses + stresses.transpose(0, 2, 1)) / 2
    virials = -volumes[:, None, None] * symmetric
    inverses = np.linalg.inv(coordinates.deformations)
    on_deformations = virials @ inverses.transpose(0, 2, 1)
    return differentiate_exponential(
        coordinates.logarithms.transpose(0, 2, 1), on_deformations
    )


def _multiply_rows(
    rows: NDArray[np.float64], matrices: NDArray[np.float64], n_rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Multiply each row vector by the matrix of its crystal."""
    products: NDArray[np.float64] = (
        rows[:, None, :] @ np.repeat(matrices, n_rows, axis=0)
    )[:, 0]
    return products
