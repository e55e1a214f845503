"""Generalised coordinates of crystals: positions and the logarithm of the deformation.

A crystal owns as many rows as it has atoms, their positions in the undeformed cell, and
three more, the logarithm of the deformation gradient times the number of atoms: the
coordinates of ASE's ``FrechetCellFilter`` [1]_.

References
----------
.. [1] ASE 3.29, ``ase.filters.FrechetCellFilter``; the gradient with respect to the
   logarithm is derived in github.com/lan496/lan496.github.io, notes/cell_grad.pdf.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from nextrung.potentials.relaxation.matrix_exponential import (
    differentiate_exponential,
    exponentiate,
)
from nextrung.schemas.relaxation import CellDegrees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Rows of the cell behind those of the atoms.
CELL_ROWS: Final = 3


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Generalised coordinates of many crystals, crystal after crystal.

    Parameters
    ----------
    n_atoms : ndarray of int, shape (n_crystals,)
        Atoms of each crystal.
    reference_lattices : ndarray of float, shape (n_crystals, 3, 3)
        Undeformed lattice vectors as rows in Å.
    rows : ndarray of float, shape ((n_atoms + 3).sum(), 3)
        Undeformed positions in Å and scaled logarithms of the deformation.
    """

    n_atoms: NDArray[np.int64]
    reference_lattices: NDArray[np.float64]
    rows: NDArray[np.float64]

    @classmethod
    def undeformed(
        cls,
        lattices: Sequence[NDArray[np.float64]],
        fracs: Sequence[NDArray[np.float64]],
    ) -> Self:
        """Take crystals as they are for the reference.

        Parameters
        ----------
        lattices : sequence of ndarray of float, shape (3, 3)
            Lattice vectors of each crystal as rows in Å.
        fracs : sequence of ndarray of float, shape (n_atoms, 3)
            Fractional coordinates of each crystal.

        Returns
        -------
        Coordinates
            Coordinates whose deformation is none.
        """
        no_deformation = np.zeros((CELL_ROWS, 3))
        blocks = [
            block
            for lattice, frac in zip(lattices, fracs, strict=True)
            for block in (frac @ lattice, no_deformation)
        ]
        return cls(
            n_atoms=np.array([len(frac) for frac in fracs], dtype=np.int64),
            reference_lattices=np.array(lattices, dtype=np.float64).reshape(-1, 3, 3),
            rows=np.concatenate([np.zeros((0, 3)), *blocks]),
        )

    def __len__(self) -> int:
        """Count the crystals."""
        return len(self.n_atoms)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """The atoms of crystal ``i`` are ``offsets[i]:offsets[i + 1]`` of all atoms."""
        return np.concatenate([[0], np.cumsum(self.n_atoms)]).astype(np.int64)

    @property
    def n_rows(self) -> NDArray[np.int64]:
        """The rows of each crystal, shape (n_crystals,)."""
        return self.n_atoms + CELL_ROWS

    @cached_property
    def cell_rows(self) -> NDArray[np.int64]:
        """The indices of the rows of the cells, shape (n_crystals, 3)."""
        ends = np.cumsum(self.n_rows)
        indices: NDArray[np.int64] = ends[:, None] + np.arange(-CELL_ROWS, 0)
        return indices

    @cached_property
    def is_atom(self) -> NDArray[np.bool_]:
        """Which rows are atoms, shape ((n_atoms + 3).sum(),)."""
        mask = np.ones(len(self.rows), dtype=np.bool_)
        mask[self.cell_rows] = False
        return mask

    @cached_property
    def logarithms(self) -> NDArray[np.float64]:
        """The logarithms of the deformation gradients, shape (n_crystals, 3, 3)."""
        logs: NDArray[np.float64] = (
            self.rows[self.cell_rows] / self.n_atoms[:, None, None]
        )
        return logs

    @cached_property
    def deformations(self) -> NDArray[np.float64]:
        """The deformation gradients, shape (n_crystals, 3, 3)."""
        return exponentiate(self.logarithms)

    @cached_property
    def lattices(self) -> NDArray[np.float64]:
        """Lattice vectors as rows in Å, shape (n_crystals, 3, 3)."""
        return self.reference_lattices @ self.deformations.transpose(0, 2, 1)

    @cached_property
    def frac_coords(self) -> NDArray[np.float64]:
        """The fractional coordinates, shape (n_atoms.sum(), 3)."""
        inverses = np.linalg.inv(self.reference_lattices)
        positions = self.rows[self.is_atom]
        return multiply_rows(positions, inverses.astype(np.float64), self.n_atoms)

    def displace(self, displacements: NDArray[np.float64]) -> Coordinates:
        """Move every row.

        Parameters
        ----------
        displacements : ndarray of float, shape ((n_atoms + 3).sum(), 3)
            By how much to move each row.

        Returns
        -------
        Coordinates
            The moved crystals.
        """
        return replace(self, rows=self.rows + displacements)

    def keep(self, crystals: NDArray[np.bool_]) -> Coordinates:
        """Forget all but some crystals.

        Parameters
        ----------
        crystals : ndarray of bool, shape (n_crystals,)
            Which to keep.

        Returns
        -------
        Coordinates
            Those, in the same order.
        """
        return Coordinates(
            n_atoms=self.n_atoms[crystals],
            reference_lattices=self.reference_lattices[crystals],
            rows=self.rows[np.repeat(crystals, self.n_rows)],
        )

    def join(self, other: Coordinates) -> Coordinates:
        """Append other crystals.

        Parameters
        ----------
        other : Coordinates
            Crystals to put behind these.

        Returns
        -------
        Coordinates
            Both, these first.
        """
        return Coordinates(
            n_atoms=np.concatenate([self.n_atoms, other.n_atoms]),
            reference_lattices=np.concatenate(
                [self.reference_lattices, other.reference_lattices]
            ),
            rows=np.concatenate([self.rows, other.rows]),
        )


def generalise_forces(
    coordinates: Coordinates,
    forces: NDArray[np.float64],
    stresses: NDArray[np.float64],
    *,
    degrees: CellDegrees,
) -> NDArray[np.float64]:
    """Turn forces and stresses into forces on generalised coordinates.

    Parameters
    ----------
    coordinates : Coordinates
        Where the crystals are.
    forces : ndarray of float, shape (n_atoms.sum(), 3)
        Forces in eV/Å.
    stresses : ndarray of float, shape (n_crystals, 3, 3)
        Stresses in eV/Å³, compression negative.
    degrees : CellDegrees
        Which degrees of freedom of the cell relax.

    Returns
    -------
    ndarray of float, shape ((n_atoms + 3).sum(), 3)
        Minus the gradient of the energy in eV/Å; that of the cell divided by the
        number of atoms, and without what must not relax.
    """
    rows = np.zeros_like(coordinates.rows)
    rows[coordinates.is_atom] = multiply_rows(
        forces, coordinates.deformations, coordinates.n_atoms
    )
    if degrees is not CellDegrees.FIXED:
        on_cells = _force_logarithms(coordinates, stresses)
        if degrees is CellDegrees.FIXED_VOLUME:
            traces = np.trace(on_cells, axis1=1, axis2=2)
            on_cells = on_cells - traces[:, None, None] / 3 * np.eye(3)
        rows[coordinates.cell_rows] = on_cells / coordinates.n_atoms[:, None, None]
    return rows


def _force_logarithms(
    coordinates: Coordinates, stresses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find minus the energy's gradient by the logarithm of the deformation."""
    volumes = np.abs(np.linalg.det(coordinates.lattices))
    symmetric = (stresses + stresses.transpose(0, 2, 1)) / 2
    virials = -volumes[:, None, None] * symmetric
    inverses = np.linalg.inv(coordinates.deformations)
    on_deformations = virials @ inverses.transpose(0, 2, 1)
    return differentiate_exponential(
        coordinates.logarithms.transpose(0, 2, 1), on_deformations
    )


def multiply_rows(
    rows: NDArray[np.float64], matrices: NDArray[np.float64], n_rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Multiply each row vector by the matrix of its crystal.

    Parameters
    ----------
    rows : ndarray of float, shape (n_rows.sum(), 3)
        Row vectors, crystal after crystal.
    matrices : ndarray of float, shape (n_crystals, 3, 3)
        A matrix per crystal.
    n_rows : ndarray of int, shape (n_crystals,)
        Rows of each crystal.

    Returns
    -------
    ndarray of float, shape (n_rows.sum(), 3)
        The products.
    """
    products: NDArray[np.float64] = (
        rows[:, None, :] @ np.repeat(matrices, n_rows, axis=0)
    )[:, 0]
    return products
