"""Crystals and dimers whose atoms approach each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import covalent_radii
from pymatgen.core import Lattice, Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.physics import RepulsionSettings

#: First distance of a crystal over its nearest-neighbor distance.
_FIRST_IN_CRYSTAL = 0.9
#: First distance of a dimer over the sum of covalent radii: the bonds of all diatomic
#: molecules of the embedded crystals' elements are longer.
_FIRST_IN_DIMER = 0.7
#: Edge of the cell of a dimer in Å.
_DIMER_CELL = 15.0


def compress_crystal(
    structure: Structure, settings: RepulsionSettings
) -> list[Structure]:
    """Compress a crystal isotropically, step by step.

    Parameters
    ----------
    structure : Structure
        Relaxed crystal.
    settings : RepulsionSettings
        Number of steps, and the last nearest-neighbor distance.

    Returns
    -------
    list of Structure
        Crystals in order of approach.
    """
    nearest = _find_nearest(structure)[0]
    distances = np.linspace(
        _FIRST_IN_CRYSTAL * nearest, settings.closest_in_crystal, settings.n_distances
    )
    return [
        structure.apply_strain(distance / nearest - 1, inplace=False)
        for distance in distances
    ]


def approach_dimer(
    structure: Structure, settings: RepulsionSettings
) -> list[Structure]:
    """Build dimers of the nearest neighbors of a crystal, ever closer.

    Parameters
    ----------
    structure : Structure
        Crystal.
    settings : RepulsionSettings
        Number of steps, and the last distance.

    Returns
    -------
    list of Structure
        Dimers in large periodic cells, in order of approach.
    """
    _, first, second = _find_nearest(structure)
    numbers = [structure[first].specie.Z, structure[second].specie.Z]
    start = _FIRST_IN_DIMER * covalent_radii[numbers].sum()
    distances = np.linspace(start, settings.closest_in_dimer, settings.n_distances)
    return [
        Structure(
            Lattice.cubic(_DIMER_CELL),
            numbers,
            [[0, 0, 0], [distance, 0, 0]],
            coords_are_cartesian=True,
        )
        for distance in distances
    ]


def find_smallest_rise(energies: Sequence[float], n_atoms: int) -> float:
    """Find the smallest rise of the energy from one distance to the next.

    Parameters
    ----------
    energies : sequence of float
        Total energies in eV, in order of approach.
    n_atoms : int
        Number of atoms.

    Returns
    -------
    float
        Rise in eV/atom; negative where atoms attract each other.
    """
    return float(np.diff(energies).min() / n_atoms)


def _find_nearest(structure: Structure) -> tuple[float, int, int]:
    """Find the nearest-neighbor distance in Å and the two sites."""
    radius = 1.01 * float(max(structure.lattice.abc))  # an atom sees its own image
    centers, points, _, distances = structure.get_neighbor_list(radius)
    nearest = int(np.argmin(distances))
    return float(distances[nearest]), int(centers[nearest]), int(points[nearest])
