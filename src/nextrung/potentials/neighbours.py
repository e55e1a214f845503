"""Pairs of atoms within a cutoff, by pymatgen's linked cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.optimization.neighbors import find_points_in_spheres

from nextrung.potentials.crystals import Crystals, list_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

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
        Lattice translation of the second atom.
    """

    offsets: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    images: NDArray[np.int64]

    def __getitem__(self, chosen: ArrayLike) -> Pairs:
        """Select the pairs of crystals by indices, in the order given."""
        indices = np.asarray(chosen, dtype=np.int64).reshape(-1)
        rows = list_rows(self.offsets, indices)
        sizes = np.diff(self.offsets)[indices]
        return Pairs(
            offsets=np.concatenate([[0], np.cumsum(sizes)]),
            first=self.first[rows],
            second=self.second[rows],
            images=self.images[rows],
        )

    @property
    def n_pairs(self) -> NDArray[np.int64]:
        """Pairs of each crystal, shape (n_crystals,)."""
        return np.diff(self.offsets)

    @property
    def crystal_of_pair(self) -> NDArray[np.int64]:
        """Index of the crystal each pair belongs to, shape (n_pairs,)."""
        return np.repeat(np.arange(len(self.n_pairs)), self.n_pairs)


def find_pairs(crystals: Crystals, cutoff: float) -> Pairs:
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
    coords = np.ascontiguousarray(crystals.cart_coords)
    found = [
        _find_in_one(coords[start:stop], lattice, cutoff)
        for start, stop, lattice in zip(
            crystals.offsets[:-1],
            crystals.offsets[1:],
            np.ascontiguousarray(crystals.lattices),
            strict=True,
        )
    ]
    sizes = [len(first) for first, _, _ in found]
    empty = np.zeros(0, dtype=np.int64)
    return Pairs(
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        first=np.concatenate([empty, *(first for first, _, _ in found)]),
        second=np.concatenate([empty, *(second for _, second, _ in found)]),
        images=np.concatenate([np.zeros((0, 3), np.int64), *(im for *_, im in found)]),
    )


def _find_in_one(
    coords: NDArray[np.float64], lattice: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find the pairs of one crystal, of two directed ones the canonical one."""
    first, second, images, _ = find_points_in_spheres(
        coords, coords, cutoff, _PERIODIC, lattice, _TOLERANCE
    )
    images = images.astype(np.int64)
    x, y, z = images.T
    forward = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    kept = (first < second) | ((first == second) & forward)
    return first[kept], second[kept], images[kept]
