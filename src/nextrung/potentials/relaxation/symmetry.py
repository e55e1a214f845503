"""Symmetry operations of a crystal, to keep its space group in a relaxation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry
from spglib.error import SpglibError

from nextrung.potentials.inputs import copy_structure
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure


@dataclass(frozen=True, eq=False)
class SiteSymmetry:
    """Symmetry operations of one crystal.

    Parameters
    ----------
    rotations : ndarray of int, shape (n_operations, 3, 3)
        Rotations of fractional coordinates, as matrices on columns.
    images : ndarray of int, shape (n_operations, n_atoms)
        Site onto which each operation maps each site.
    """

    rotations: NDArray[np.int64]
    images: NDArray[np.int64]

    def average_forces(
        self, forces: NDArray[np.float64], lattice: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Average forces over the symmetry operations.

        Parameters
        ----------
        forces : ndarray of float, shape (n_atoms, 3)
            Forces in eV/Å.
        lattice : ndarray of float, shape (3, 3)
            Lattice vectors as rows in Å.

        Returns
        -------
        ndarray of float, shape (n_atoms, 3)
            Forces with the symmetry of the crystal.
        """
        components = forces @ np.linalg.inv(lattice)
        rotated = np.einsum("oij,aj->oai", self.rotations, components)
        averaged = np.zeros_like(components)
        np.add.at(averaged, self.images, rotated)
        result: NDArray[np.float64] = averaged / len(self.rotations) @ lattice
        return result

    def average_stress(
        self, stress: NDArray[np.float64], lattice: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Average a stress over the symmetry operations.

        Parameters
        ----------
        stress : ndarray of float, shape (3, 3)
            Stress in any unit.
        lattice : ndarray of float, shape (3, 3)
            Lattice vectors as rows in Å.

        Returns
        -------
        ndarray of float, shape (3, 3)
            Stress with the symmetry of the crystal.
        """
        inverse = np.linalg.inv(lattice)
        components = lattice @ stress @ lattice.T
        rotated = self.rotations.transpose(0, 2, 1) @ components @ self.rotations
        averaged: NDArray[np.float64] = inverse @ rotated.mean(axis=0) @ inverse.T
        return averaged


def build_atoms(structure: Structure) -> Atoms:
    """Build the ASE atoms of a structure, its coordinates not wrapped.

    Parameters
    ----------
    structure : Structure
        An ordered structure.
    """
    return Atoms(
        numbers=structure.atomic_numbers,
        scaled_positions=structure.frac_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )


def refine_symmetry(structure: Structure) -> tuple[Structure, SiteSymmetry]:
    """Symmetrise a structure and find its symmetry operations.

    Parameters
    ----------
    structure : Structure
        An ordered structure with a finite cell.

    Returns
    -------
    structure : Structure
        The structure with its positions and cell symmetrised, sites in the same order.
    symmetry : SiteSymmetry
        Its symmetry operations.

    Raises
    ------
    InputError
        If spglib finds no space group.

    Notes
    -----
    ASE's ``FixSymmetry``, through spglib with a tolerance of 0.01 Å.
    """
    atoms = build_atoms(structure)
    try:
        constraint = FixSymmetry(atoms)
    except (AssertionError, SpglibError, ValueError) as error:
        raise InputError(f"no space group found: {error}") from error
    refined = copy_structure(
        structure, atoms.cell.array, atoms.get_scaled_positions(wrap=False)
    )
    symmetry = SiteSymmetry(
        rotations=np.asarray(constraint.rotations, dtype=np.int64),
        images=np.asarray(constraint.symm_map, dtype=np.int64),
    )
    return refined, symmetry
