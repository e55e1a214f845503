"""Crystals without labels as flat arrays, the input of a potential."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from pymatgen.core import DummySpecies

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.frames import Frames

    #: Indices, a mask or a slice.
    Selection = slice | Sequence[int] | NDArray[np.generic]

#: Atomic numbers of elements; those of dummy species are hashes of their names.
_ELEMENT_NUMBERS = frozenset(range(1, 119))


def list_rows(
    offsets: NDArray[np.int64], chosen: NDArray[np.int64]
) -> NDArray[np.int64]:
    """List the rows of the chosen groups of a ragged array, group after group.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_groups + 1,)
        Rows of group ``i`` are ``offsets[i]:offsets[i + 1]``.
    chosen : ndarray of int, shape (n_chosen,)
        Groups, in any order, also repeated.

    Returns
    -------
    ndarray of int
        Indices of the rows.
    """
    sizes = np.diff(offsets)[chosen]
    shifts = offsets[:-1][chosen] - (np.cumsum(sizes) - sizes)
    rows: NDArray[np.int64] = np.arange(sizes.sum()) + np.repeat(shifts, sizes)
    return rows


@dataclass(frozen=True, eq=False)
class Crystals:
    """Periodic crystals, the sites of one after those of another.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_crystals + 1,)
        Sites of crystal ``i`` are ``offsets[i]:offsets[i + 1]`` of the site arrays.
    atomic_numbers : ndarray of int, shape (n_sites,)
        Atomic number of each site.
    lattices : ndarray of float, shape (n_crystals, 3, 3)
        Lattice vectors as rows in Å.
    frac_coords : ndarray of float, shape (n_sites, 3)
        Fractional coordinates; not wrapped.
    """

    offsets: NDArray[np.int64]
    atomic_numbers: NDArray[np.int64]
    lattices: NDArray[np.float64]
    frac_coords: NDArray[np.float64]

    def __len__(self) -> int:
        """Count the crystals."""
        return len(self.lattices)

    def __getitem__(self, chosen: Selection) -> Crystals:
        """Select crystals by indices, mask or slice, in the order given."""
        everything = np.arange(len(self))
        indices = everything[chosen]
        if np.array_equal(indices, everything):
            return self
        sites = list_rows(self.offsets, indices)
        return Crystals(
            offsets=np.concatenate([[0], np.cumsum(self.n_atoms[indices])]),
            atomic_numbers=self.atomic_numbers[sites],
            lattices=self.lattices[indices],
            frac_coords=self.frac_coords[sites],
        )

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Sites of each crystal, shape (n_crystals,)."""
        return np.diff(self.offsets)

    @property
    def crystal_of_site(self) -> NDArray[np.int64]:
        """Index of the crystal each site belongs to, shape (n_sites,)."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    @property
    def cart_coords(self) -> NDArray[np.float64]:
        """Cartesian coordinates in Å, shape (n_sites, 3)."""
        lattices = self.lattices[self.crystal_of_site]
        coords: NDArray[np.float64] = (self.frac_coords[:, None] @ lattices)[:, 0]
        return coords

    def wrap(self) -> tuple[Crystals, NDArray[np.float64]]:
        """Wrap all sites into their cells.

        Returns
        -------
        wrapped : Crystals
            The crystals with fractional coordinates from 0 to 1.
        cells : ndarray of float, shape (n_sites, 3)
            Lattice translation that was removed from each site.
        """
        cells = np.floor(self.frac_coords)
        return replace(self, frac_coords=self.frac_coords - cells), cells

    @classmethod
    def of(cls, structures: Sequence[Structure]) -> Self:
        """Flatten ordered structures.

        Parameters
        ----------
        structures : sequence of Structure
            Ordered, periodic structures.

        Returns
        -------
        Crystals
            The crystals, in the order given.

        Raises
        ------
        InputError
            If a structure is disordered or not periodic.
        """
        for index, structure in enumerate(structures):
            if reason := describe_unusable(structure):
                raise InputError(f"structure {index}: {reason}")
        n_atoms = [len(structure) for structure in structures]
        numbers = [number for s in structures for number in s.atomic_numbers]
        return cls(
            offsets=np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64),
            atomic_numbers=np.array(numbers, dtype=np.int64),
            lattices=np.array([s.lattice.matrix for s in structures]).reshape(-1, 3, 3),
            frac_coords=np.concatenate(
                [np.zeros((0, 3)), *(s.frac_coords.reshape(-1, 3) for s in structures)]
            ),
        )

    @classmethod
    def from_frames(cls, frames: Frames) -> Self:
        """Take the crystals of frames, without their labels.

        Parameters
        ----------
        frames : Frames
            Labelled configurations.

        Returns
        -------
        Crystals
            Their crystals, sharing the arrays where the types allow it.
        """
        return cls(
            offsets=frames.offsets.astype(np.int64, copy=False),
            atomic_numbers=frames.atomic_numbers.astype(np.int64),
            lattices=frames.lattices,
            frac_coords=frames.frac_coords,
        )


def describe_unusable(structure: Structure) -> str | None:
    """Describe why a structure is no ordered, periodic crystal of elements.

    Parameters
    ----------
    structure : Structure
        Any structure.

    Returns
    -------
    str or None
        The reason, or None for a usable structure.
    """
    try:
        numbers = structure.atomic_numbers
    except AttributeError:  # raised by a site of several species or with a vacancy
        return "disordered: a site holds more than one species or a vacancy"
    if not all(structure.lattice.pbc):
        return "not periodic in all three directions"
    if not _ELEMENT_NUMBERS.issuperset(numbers) and any(
        isinstance(site.specie, DummySpecies) for site in structure
    ):
        return "holds a dummy species"
    return None
