"""Pairs of atoms within a cutoff, by pymatgen's linked cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.optimization.neighbors import find_points_in_spheres

from nextrung.potentials.crystals import Crystals, list_rows, select

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Longest bond of the atom graph in Å, that of every shipped model.
ATOM_CUTOFF = 6.0
#: Longest bond of the bond graph in Å, that of every shipped model.
BOND_CUTOFF = 3.0
_PERIODIC = np.ones(3, dtype=np.int64)
#: Added to the cutoff, and below which an atom is itself (pymatgen's default), in Å.
_TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Pairs:
    """Undirected pairs of atoms of many crystals, each pair once.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_crystals + 1,)
        Pairs of crystal ``i`` are ``offsets[i]:offsets[i + 1]``.
    first : ndarray of int, shape (n_pairs,)
        Index of one atom within its crystal.
    second : ndarray of int, shape (n_pairs,)
        Index of the other atom within its crystal, not below ``first``.
    images : ndarray of int, shape (n_pairs, 3)
        Lattice translation of the second atom, for coordinates that are not wrapped.
    lengths : ndarray of float, shape (n_pairs,)
        Distances in Å.
    n_angles : ndarray of int, shape (n_crystals,)
        Ordered pairs of bonds below ``BOND_CUTOFF`` that share an atom.
    """

    offsets: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    images: NDArray[np.int64]
    lengths: NDArray[np.float64]
    n_angles: NDArray[np.int64]

    def __getitem__(self, chosen: ArrayLike) -> Pairs:
        """Select the pairs of crystals by indices or by mask, in the order given."""
        indices = select(len(self.n_angles), chosen)
        rows = list_rows(self.offsets, indices)
        return Pairs(
            offsets=np.concatenate([[0], np.cumsum(self.n_pairs[indices])]),
            first=self.first[rows],
            second=self.second[rows],
            images=self.images[rows],
            lengths=self.lengths[rows],
            n_angles=self.n_angles[indices],
        )

    @property
    def n_pairs(self) -> NDArray[np.int64]:
        """Pairs of each crystal, shape (n_crystals,)."""
        return np.diff(self.offsets)

    @property
    def crystal_of_pair(self) -> NDArray[np.int64]:
        """Index of the crystal each pair belongs to, shape (n_pairs,)."""
        return np.repeat(np.arange(len(self.n_pairs)), self.n_pairs)

    @property
    def costs(self) -> NDArray[np.int64]:
        """Rows that a prediction computes for each crystal, shape (n_crystals,)."""
        costs: NDArray[np.int64] = 2 * self.n_pairs + self.n_angles
        return costs


def find_pairs(crystals: Crystals, cutoff: float = ATOM_CUTOFF) -> Pairs:
    """Find all pairs of atoms of each crystal that are within a cutoff.

    Parameters
    ----------
    crystals : Crystals
        Crystals with finite coordinates and sane cells.
    cutoff : float
        Largest distance in Å.

    Returns
    -------
    Pairs
        Each pair once; an atom and its own image are a pair too.
    """
    wrapped = crystals.frac_coords - np.floor(crystals.frac_coords)
    found = _find_in_each(crystals, wrapped, cutoff)
    sizes = np.array([len(rows[0]) for rows in found], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    empty = np.zeros(0, dtype=np.int64)
    first = np.concatenate([empty, *(rows[0] for rows in found)])
    second = np.concatenate([empty, *(rows[1] for rows in found)])
    images = np.concatenate([np.zeros((0, 3)), *(rows[2] for rows in found)])
    lengths = np.concatenate([np.zeros(0), *(rows[3] for rows in found)])
    starts = np.repeat(crystals.offsets[:-1], sizes)
    cells = np.floor(crystals.frac_coords)
    return Pairs(
        offsets=offsets,
        first=first,
        second=second,
        images=(images + cells[first + starts] - cells[second + starts]).astype(
            np.int64
        ),
        lengths=lengths,
        n_angles=_count_angles(crystals, np.stack([first, second]) + starts, lengths),
    )


def _find_in_each(
    crystals: Crystals, wrapped: NDArray[np.float64], cutoff: float
) -> list[tuple[NDArray[np.generic], ...]]:
    """Search each crystal on its own: first, second, images and lengths of pairs."""
    lattices = np.ascontiguousarray(crystals.lattices)
    coords = (wrapped[:, None] @ lattices[crystals.crystal_of_site])[:, 0]
    return [
        _find_in_one(coords[start:stop], lattice, cutoff)
        for start, stop, lattice in zip(
            crystals.offsets[:-1], crystals.offsets[1:], lattices, strict=True
        )
    ]


def _find_in_one(
    coords: NDArray[np.float64], lattice: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[np.generic], ...]:
    """Find the pairs of one crystal, of two directed ones the canonical one."""
    first, second, images, lengths = find_points_in_spheres(
        coords, coords, cutoff, _PERIODIC, lattice, _TOLERANCE
    )
    x, y, z = images.T
    forward = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    kept = (first < second) | ((first == second) & forward)
    return first[kept], second[kept], images[kept], lengths[kept]


def _count_angles(
    crystals: Crystals, ends: NDArray[np.int64], lengths: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Count the ordered pairs of short bonds at the atoms of each crystal."""
    n_sites = len(crystals.atomic_numbers)
    short = ends[:, lengths < BOND_CUTOFF].reshape(-1)
    n_bonds = np.bincount(short, minlength=n_sites)
    totals = np.concatenate([[0], np.cumsum(n_bonds * (n_bonds - 1))])
    counts: NDArray[np.int64] = np.diff(totals[crystals.offsets])
    return counts
