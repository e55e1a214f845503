"""Neighbor search: by linked cells on a CPU, over all periodic images on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from nextrung.potentials.graphs.crystals import Crystals, list_rows
from nextrung.potentials.graphs.linked_cells import TOLERANCE, search_cells
from nextrung.potentials.graphs.row_indices import (
    count_true,
    find_starts,
    find_true,
    repeat_rows,
)
from nextrung.potentials.graphs.sites import Bonds
from nextrung.potentials.graphs.skin import NeighborSkin, TrackedCrystals

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Selection
    from nextrung.potentials.graphs.periodic_images import ImagePairs
    from nextrung.potentials.graphs.sites import Sites

#: Cutoff of the atom graph of CHGNet in Å.
ATOM_CUTOFF = 6.0
#: Cutoff of the bond graph of CHGNet in Å.
BOND_CUTOFF = 3.0
#: Distance in Å below which atoms overlap; networks have no short-range repulsion.
MIN_DISTANCE = 0.3


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
    bonds : Bonds or None
        The same pairs with their crystals, if they were searched on a GPU.
    """

    offsets: NDArray[np.int64]
    ends: Tensor
    images: Tensor
    lengths: Tensor
    n_angles: NDArray[np.int64]
    isolated: NDArray[np.int64]
    overlapping: NDArray[np.bool_]
    bonds: Bonds | None = None

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
            bonds=self.bonds if self._are_all(indices) else None,
        )

    def _are_all(self, indices: NDArray[np.int64]) -> bool:
        """Whether these are all crystals in their order."""
        return np.array_equal(indices, np.arange(len(self.n_angles)))

    def _list_rows(self, indices: NDArray[np.int64]) -> Tensor | slice:
        """List the pairs of crystals, without a copy if these are consecutive."""
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
        crystals, _ = repeat_rows(n_pairs, int(self.offsets[-1]))
        return crystals

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
        return _find_on_cpu(crystals, (bond_cutoff, cutoff))
    if isinstance(crystals, TrackedCrystals):
        skin, keys = crystals.skin, crystals.keys
    else:
        skin, keys = NeighborSkin(0.0), np.arange(len(crystals))
    sites, found = skin.search(
        crystals, keys, cutoff=cutoff + TOLERANCE, device=torch.device(device)
    )
    return _filter_pairs(crystals, sites, found, cutoffs=(bond_cutoff, cutoff))


def _find_on_cpu(crystals: Crystals, cutoffs: tuple[float, float]) -> Pairs:
    """Find pairs by linked cells, and describe them."""
    ends, images, lengths, n_pairs = search_cells(crystals, cutoffs[1])
    starts = np.repeat(crystals.offsets[:-1], n_pairs)
    distances = torch.from_numpy(lengths)
    counts = _count_by_site(
        torch.from_numpy(ends + starts),
        distances,
        cutoffs,
        n_sites=len(crystals.atomic_numbers),
    )
    n_angles, isolated, overlapping = _describe_sites(crystals, counts.numpy())
    return Pairs(
        offsets=np.concatenate([[0], np.cumsum(n_pairs)]),
        ends=torch.from_numpy(ends),
        images=torch.from_numpy(images),
        lengths=distances,
        n_angles=n_angles,
        isolated=isolated,
        overlapping=overlapping,
    )


def _filter_pairs(
    crystals: Crystals, sites: Sites, found: ImagePairs, *, cutoffs: tuple[float, float]
) -> Pairs:
    """Leave out pairs beyond the cutoff; waits for the device once."""
    bonds = sites.list_bonds(found.ends, found.images, found.counts)
    lengths = torch.linalg.vector_norm(bonds.vectors, dim=1)
    near = lengths <= cutoffs[1] + TOLERANCE
    by_site = _count_by_site(bonds.atoms, lengths, cutoffs, n_sites=len(sites))
    n_pairs = count_true(near, find_starts(found.counts))
    counted: NDArray[np.int64] = torch.cat([by_site.view(-1), n_pairs]).cpu().numpy()
    counts, sizes = np.split(counted, [by_site.numel()])
    rows = find_true(near, int(sizes.sum()))
    n_angles, isolated, overlapping = _describe_sites(
        crystals, counts.reshape(by_site.shape)
    )
    return Pairs(
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        ends=found.ends[:, rows],
        images=found.images[rows],
        lengths=lengths[rows],
        n_angles=n_angles,
        isolated=isolated,
        overlapping=overlapping,
        bonds=Bonds(sites, bonds.atoms[:, rows], bonds.vectors[rows]),
    )


def _count_by_site(
    atoms: Tensor, lengths: Tensor, cutoffs: tuple[float, float], *, n_sites: int
) -> Tensor:
    """Count bonds, neighbors and overlaps of each site, shape (3, n_sites)."""
    bond_cutoff, cutoff = cutoffs
    chosen = [lengths < bond_cutoff, lengths <= cutoff, lengths < MIN_DISTANCE]
    counts = torch.zeros((3, n_sites), dtype=torch.int64, device=atoms.device)
    flags = torch.stack(chosen).repeat(1, 2).long()
    return counts.index_add_(1, atoms.reshape(-1), flags)


def _describe_sites(
    crystals: Crystals, counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Count angles, and find isolated and overlapping atoms of each crystal."""
    n_bonds, n_neighbors, n_overlaps = counts
    n_angles = np.concatenate([[0], np.cumsum(n_bonds * (n_bonds - 1))])
    owners = crystals.crystal_of_site
    isolated = np.full(len(crystals), -1)
    for site in np.flatnonzero(n_neighbors == 0)[::-1]:
        isolated[owners[site]] = site - crystals.offsets[owners[site]]
    overlapping = np.zeros(len(crystals), dtype=np.bool_)
    overlapping[owners[n_overlaps > 0]] = True
    return np.diff(n_angles[crystals.offsets]), isolated, overlapping
