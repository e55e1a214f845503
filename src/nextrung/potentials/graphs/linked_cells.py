"""Neighbor search by linked cells, crystal by crystal on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.optimization.neighbors import find_points_in_spheres

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.graphs.crystals import Crystals

_PERIODIC = np.ones(3, dtype=np.int64)
#: Added to the cutoff, and distance of an atom to itself (pymatgen's default), in Å.
TOLERANCE = 1e-8


def search_cells(
    crystals: Crystals, cutoff: float
) -> tuple[
    NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]
]:
    """Find all pairs of atoms of each crystal that are within a cutoff.

    Parameters
    ----------
    crystals : Crystals
        Valid crystals.
    cutoff : float
        Largest distance in Å.

    Returns
    -------
    ends : ndarray of int, shape (2, n_pairs)
        Both atoms of each pair, numbered within their crystal; each pair once.
    images : ndarray of float, shape (n_pairs, 3)
        Lattice translation of the second atom, for coordinates that are not wrapped.
    lengths : ndarray of float, shape (n_pairs,)
        Distances in Å.
    n_pairs : ndarray of int, shape (n_crystals,)
        Pairs of each crystal.
    """
    wrapped, cells = crystals.wrap()
    lattices = np.ascontiguousarray(crystals.lattices)
    coords = wrapped.cart_coords
    starts, stops = crystals.offsets[:-1], crystals.offsets[1:]
    found = [
        find_points_in_spheres(
            coords[start:stop], coords[start:stop], cutoff, _PERIODIC, cell, TOLERANCE
        )
        for start, stop, cell in zip(starts, stops, lattices, strict=True)
    ]
    sizes = [len(rows[0]) for rows in found]
    crystal = np.repeat(np.arange(len(found)), sizes)
    no_site = np.zeros(0, np.int64)
    nothing = (no_site, no_site, np.zeros((0, 3)), np.zeros(0))
    first, second, images, lengths = (
        np.concatenate(rows) for rows in zip(nothing, *found, strict=True)
    )
    kept = np.flatnonzero(_is_canonical(first, second, images))
    ends = np.stack([first[kept], second[kept]])
    atoms = ends + starts[crystal[kept]]
    return (
        ends,
        images[kept] + cells[atoms[0]] - cells[atoms[1]],
        lengths[kept],
        np.bincount(crystal[kept], minlength=len(found)),
    )


def _is_canonical(
    first: NDArray[np.int64], second: NDArray[np.int64], images: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which of the two directions of each pair is kept."""
    forward = images @ [1e12, 1e6, 1.0] > 0
    canonical: NDArray[np.bool_] = (first < second) | ((first == second) & forward)
    return canonical
