"""Neighbor search: by linked cells on a CPU, over all periodic images on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from pymatgen.optimization.neighbors import find_points_in_spheres

from nextrung.potentials.graphs.crystals import Crystals, list_rows
from nextrung.potentials.graphs.periodic_images import SitePairs, search_images

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Selection

#: Cutoff of the atom graph of CHGNet in Å.
ATOM_CUTOFF = 6.0
#: Cutoff of the bond graph of CHGNet in Å.
BOND_CUTOFF = 3.0
#: Distance in Å below which atoms overlap; networks have no short-range repulsion.
MIN_DISTANCE = 0.3
_PERIODIC = np.ones(3, dtype=np.int64)
#: Added to the cutoff, and distance of an atom to itself (pymatgen's default), in Å.
_TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Pairs:
    """Undirected pairs of atoms of many crystals, each pair once.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_crystals + 1,)
        Pairs of crystal ``i`` are ``offsets[i]:offsets[i + 1]``.
    ends : Tensor of int, shape (2, n_pairs)
        Indices of both atoms within their crystal, the second not below the first.
    images : Tensor of float64, shape (n_pairs, 3)
        Lattice translation of the second atom, for coordinates that are not wrapped.
    lengths : Tensor of float64, shape (n_pairs,)
        Distances in Å.
    n_angles : ndarray of int, shape (n_crystals,)
        Ordered pairs of bonds below a cutoff of their own that share an atom.
    isolated : ndarray of int, shape (n_crystals,)
        Index within each crystal of its first atom without a pair; -1 for none.
    overlapping : ndarray of bool, shape (n_crystals,)
        Whether atoms are closer than :data:`MIN_DISTANCE`.
    """

    offsets: NDArray[np.int64]
    ends: Tensor
    images: Tensor
    lengths: Tensor
    n_angles: NDArray[np.int64]
    isolated: NDArray[np.int64]
    overlapping: NDArray[np.bool_]

    def __getitem__(self, chosen: Selection) -> Pairs:
        """Select the pairs of crystals by indices, mask or slice, in that order."""
        indices = np.arange(len(self.n_angles))[chosen]
        rows = self._list_rows(indices)
        return Pairs(
            offsets=np.concatenate([[0], np.cumsum(self.n_pairs[indices])]),
            ends=self.ends[:, rows],
            images=self.images[rows],
            lengths=self.lengths[rows],
            n_angles=self.n_angles[indices],
            isolated=self.isolated[indices],
            overlapping=self.overlapping[indices],
        )

    def _list_rows(self, indices: NDArray[np.int64]) -> Tensor | slice:
        """List the pairs of crystals: without a copy if the crystals are consecutive."""
        if len(indices) and (np.diff(indices) == 1).all():
            return slice(*self.offsets[[indices[0], indices[-1] + 1]].tolist())
        rows = torch.from_numpy(list_rows(self.offsets, indices))
        return rows.to(self.lengths.device)

    @property
    def n_pairs(self) -> NDArray[np.int64]:
        """Pairs of each crystal, shape (n_crystals,)."""
        return np.diff(self.offsets)

    @property
    def crystal_of_pair(self) -> Tensor:
        """Index of the crystal each pair belongs to, shape (n_pairs,)."""
        n_pairs = torch.from_numpy(self.n_pairs).to(self.lengths.device)
        crystals = torch.arange(len(n_pairs), device=n_pairs.device)
        return torch.repeat_interleave(
            crystals, n_pairs, output_size=int(self.offsets[-1])
        )

    @property
    def costs(self) -> NDArray[np.int64]:
        """Rows that a prediction computes for each crystal, shape (n_crystals,)."""
        costs: NDArray[np.int64] = 2 * self.n_pairs + self.n_angles
        return costs


@dataclass(frozen=True, eq=False)
class NeighborLists:
    """Crystals and the pairs of their atoms.

    Parameters
    ----------
    crystals : Crystals
        Crystals.
    pairs : Pairs
        Their pairs.
    """

    crystals: Crystals
    pairs: Pairs

    def __getitem__(self, chosen: Selection) -> NeighborLists:
        """Select crystals by indices, mask or slice, in that order."""
        return NeighborLists(self.crystals[chosen], self.pairs[chosen])

    @property
    def costs(self) -> NDArray[np.int64]:
        """Rows that a prediction computes for each crystal, shape (n_crystals,)."""
        return self.pairs.costs


def find_pairs(
    crystals: Crystals,
    cutoff: float = ATOM_CUTOFF,
    device: torch.device | str = "cpu",
    *,
    bond_cutoff: float = BOND_CUTOFF,
) -> Pairs:
    """Find all pairs of atoms of each crystal that are within a cutoff.

    Parameters
    ----------
    crystals : Crystals
        Crystals that pass :func:`.check_cells`.
    cutoff : float
        Largest distance in Å.
    device : torch.device or str
        Device of the search and of the pairs.
    bond_cutoff : float
        Length in Å of a bond that takes part in angles; 0 for a model without angles.

    Returns
    -------
    Pairs
        Each pair once, also those of an atom and its own image.
    """
    if torch.device(device).type == "cpu":
        found = _search_cells(crystals, cutoff)
    else:
        found = search_images(crystals, cutoff + _TOLERANCE, torch.device(device))
    return _describe_pairs(crystals, found, cutoff, bond_cutoff)


def _describe_pairs(
    crystals: Crystals, found: SitePairs, cutoff: float, bond_cutoff: float
) -> Pairs:
    """Count angles, and find isolated and overlapping atoms; waits for a GPU once."""
    n_bonds, n_neighbors, n_overlaps = _count_by_site(
        found.sites,
        torch.stack(
            [
                found.lengths < bond_cutoff,
                found.lengths <= cutoff,
                found.lengths < MIN_DISTANCE,
            ]
        ),
        len(crystals.atomic_numbers),
    )
    n_angles = np.concatenate([[0], np.cumsum(n_bonds * (n_bonds - 1))])
    owners = crystals.crystal_of_site
    isolated = np.full(len(crystals), -1)
    for site in np.flatnonzero(n_neighbors == 0)[::-1]:
        isolated[owners[site]] = site - crystals.offsets[owners[site]]
    overlapping = np.zeros(len(crystals), dtype=np.bool_)
    overlapping[owners[n_overlaps > 0]] = True
    return Pairs(
        offsets=np.concatenate([[0], np.cumsum(found.n_pairs)]),
        ends=found.ends,
        images=found.images,
        lengths=found.lengths,
        n_angles=np.diff(n_angles[crystals.offsets]),
        isolated=isolated,
        overlapping=overlapping,
    )


def _count_by_site(sites: Tensor, chosen: Tensor, n_sites: int) -> NDArray[np.int64]:
    """Count the chosen pairs of each site, for each row of the choice."""
    counts = torch.zeros((len(chosen), n_sites), dtype=torch.int64, device=sites.device)
    counts.index_add_(1, sites.reshape(-1), chosen.repeat(1, 2).long())
    return counts.cpu().numpy()


def _search_cells(crystals: Crystals, cutoff: float) -> SitePairs:
    """Search each crystal with pymatgen."""
    wrapped, cells = crystals.wrap()
    lattices = np.ascontiguousarray(crystals.lattices)
    coords = wrapped.cart_coords
    starts, stops = crystals.offsets[:-1], crystals.offsets[1:]
    found = [
        find_points_in_spheres(
            coords[start:stop], coords[start:stop], cutoff, _PERIODIC, cell, _TOLERANCE
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
    n_pairs = np.bincount(crystal[kept], minlength=len(found))
    ends = np.stack([first[kept], second[kept]])
    sites = ends + starts[crystal[kept]]
    unwrapped = images[kept] + cells[sites[0]] - cells[sites[1]]
    return SitePairs(
        sites=torch.from_numpy(sites),
        ends=torch.from_numpy(ends),
        images=torch.from_numpy(unwrapped),
        lengths=torch.from_numpy(lengths[kept]),
        n_pairs=n_pairs,
    )


def _is_canonical(
    first: NDArray[np.int64], second: NDArray[np.int64], images: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which of the two directions of each pair is kept."""
    forward = images @ [1e12, 1e6, 1.0] > 0
    canonical: NDArray[np.bool_] = (first < second) | ((first == second) & forward)
    return canonical
