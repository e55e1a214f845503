"""Neighbor search over all periodic images, on any device.

Sizes are computed on the host beforehand or read with the numbers of pairs, so that a
search waits for a GPU once per batch of candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch

from nextrung.potentials.graphs.transfers import find_true, upload

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Crystals

#: Candidate pairs in memory at once, at about 200 bytes each.
_MAX_CANDIDATES = 8_000_000


class SitePairs(NamedTuple):
    """Undirected pairs of sites, crystal after crystal, each pair once.

    Parameters
    ----------
    sites : Tensor of int, shape (2, n_pairs)
        Both sites of each pair, numbered through all crystals.
    ends : Tensor of int, shape (2, n_pairs)
        Their numbers within the crystal.
    images : Tensor of float64, shape (n_pairs, 3)
        Lattice translation of the second site, for coordinates that are not wrapped.
    lengths : Tensor of float64, shape (n_pairs,)
        Distances in Å.
    n_pairs : ndarray of int, shape (n_crystals,)
        Pairs of each crystal.
    """

    sites: Tensor
    ends: Tensor
    images: Tensor
    lengths: Tensor
    n_pairs: NDArray[np.int64]


def search_images(crystals: Crystals, cutoff: float, device: torch.device) -> SitePairs:
    """Find all pairs of atoms of each crystal that are within a cutoff.

    Parameters
    ----------
    crystals : Crystals
        Valid crystals.
    cutoff : float
        Largest distance in Å.
    device : torch.device
        Device of the search.

    Returns
    -------
    SitePairs
        The pairs.
    """
    candidates = _Candidates.of(crystals, cutoff, device)
    starts = range(0, max(candidates.size, 1), _MAX_CANDIDATES)
    parts = [candidates.filter(start, cutoff) for start in starts]
    return SitePairs(
        sites=torch.cat([part.sites for part in parts], dim=1),
        ends=torch.cat([part.ends for part in parts], dim=1),
        images=torch.cat([part.images for part in parts]),
        lengths=torch.cat([part.lengths for part in parts]),
        n_pairs=np.sum([part.n_pairs for part in parts], axis=0),
    )


def compute_shifts(images: Tensor, cells: Tensor) -> Tensor:
    """Compute the vectors of lattice translations.

    Parameters
    ----------
    images : Tensor of float64, shape (n_images, 3)
        Lattice translations.
    cells : Tensor of float64, shape (n_images, 3, 3)
        Lattice vectors of each as rows in Å.

    Returns
    -------
    Tensor of float64, shape (n_images, 3)
        Vectors in Å.

    Notes
    -----
    Three sums have the bits of a batched product on a CPU; that of cuBLAS is limited to
    65,535 matrices.
    """
    first, second, third = images.unsqueeze(-1).unbind(1)
    return first * cells[:, 0] + second * cells[:, 1] + third * cells[:, 2]


def count_true(mask: Tensor, starts: Tensor) -> NDArray[np.int64]:
    """Count the true rows of consecutive groups; waits for a GPU once.

    Parameters
    ----------
    mask : Tensor of bool, shape (n_rows,)
        Mask.
    starts : Tensor of int, shape (n_groups + 1,)
        Rows of group ``i`` are ``starts[i]:starts[i + 1]``.

    Returns
    -------
    ndarray of int, shape (n_groups,)
        Numbers of rows.
    """
    totals = torch.cat([starts.new_zeros(1), torch.cumsum(mask, 0)])
    counts: NDArray[np.int64] = totals[starts].diff().cpu().numpy()
    return counts


@dataclass(frozen=True, eq=False)
class _Candidates:
    """All images of all pairs of sites that may be within a cutoff.

    Candidates are numbered crystal after crystal, pair after pair of sites, image after
    image; the image in the middle is the cell itself.

    Parameters
    ----------
    size : int
        Number of candidates.
    starts : Tensor of int, shape (n_crystals + 1,)
        Candidates of crystal ``i`` are ``starts[i]:starts[i + 1]``.
    n_images : Tensor of int, shape (n_crystals,)
        Images of each cell.
    images : Tensor of float64, shape (n_images.sum(), 3)
        Lattice translations of each crystal.
    shifts : Tensor of float64, shape (n_images.sum(), 3)
        Their vectors in Å.
    sites : Tensor of int, shape (2, n_site_pairs)
        All sites with themselves and with the later sites of their crystal.
    numbers : Tensor of int, shape (n_sites,)
        Number of each site within its crystal.
    coords : Tensor of float64, shape (n_sites, 3)
        Coordinates in Å, wrapped into the cells.
    cells : Tensor of float64, shape (n_sites, 3)
        Lattice translations that were removed by wrapping.
    """

    size: int
    starts: Tensor
    n_images: Tensor
    images: Tensor
    shifts: Tensor
    sites: Tensor
    numbers: Tensor
    coords: Tensor
    cells: Tensor

    @classmethod
    def of(cls, crystals: Crystals, cutoff: float, device: torch.device) -> Self:
        """List the candidates of crystals, in one transfer to the device."""
        reach = _measure_reach(crystals.lattices, cutoff)
        image_counts, n_atoms = (2 * reach + 1).prod(axis=1), crystals.n_atoms
        n_candidates = image_counts * (n_atoms * (n_atoms + 1) // 2)
        stops = np.concatenate([[0], np.cumsum(n_candidates)])
        wrapped, removed = crystals.wrap()
        indices = np.arange(len(removed))
        own_numbers = indices - np.repeat(crystals.offsets[:-1], n_atoms)
        later_counts = np.repeat(crystals.offsets[1:], n_atoms) - indices
        starts, n_images, widths, numbers, n_later, lattices, coords, cells = upload(
            device,
            *(stops, image_counts, 2 * reach + 1, own_numbers, later_counts),
            *(crystals.lattices, wrapped.cart_coords, removed),
        )
        crystal, rank = _repeat_rows(n_images, int(image_counts.sum()))
        images = _list_images(widths[crystal], rank)
        first, distance = _repeat_rows(n_later, int(later_counts.sum()))
        return cls(
            size=int(stops[-1]),
            starts=starts,
            n_images=n_images,
            images=images,
            shifts=compute_shifts(images, lattices[crystal]),
            sites=torch.stack([first, first + distance]),
            numbers=numbers,
            coords=coords,
            cells=cells,
        )

    def filter(self, start: int, cutoff: float) -> SitePairs:
        """Find the pairs within a cutoff among the candidates from one on."""
        stop = min(start + _MAX_CANDIDATES, self.size)
        sites, image, is_kept = self._list(start, stop)
        vectors = self.coords[sites[0]] - self.coords[sites[1]] - self.shifts[image]
        lengths = torch.linalg.vector_norm(vectors, dim=1)
        kept = (lengths <= cutoff) & is_kept
        n_pairs = count_true(kept, (self.starts - start).clamp(0, stop - start))
        rows = find_true(kept, int(n_pairs.sum()))
        sites = sites[:, rows]
        unwrapping = self.cells[sites[0]] - self.cells[sites[1]]
        return SitePairs(
            sites=sites,
            ends=self.numbers[sites],
            images=self.images[image[rows]] + unwrapping,
            lengths=lengths[rows],
            n_pairs=n_pairs,
        )

    def _list(self, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        """List both sites, the image, and whether it is the direction that is kept."""
        candidates = torch.arange(start, stop, device=self.starts.device)
        crystal = torch.searchsorted(self.starts, candidates, right=True) - 1
        n_images = self.n_images[crystal]
        within = candidates - self.starts[crystal]
        pair = within // n_images
        rank = within - pair * n_images
        n_pairs = self.starts.diff() // self.n_images
        sites = self.sites[:, (n_pairs.cumsum(0) - n_pairs)[crystal] + pair]
        image = (self.n_images.cumsum(0) - self.n_images)[crystal] + rank
        return sites, image, (sites[0] != sites[1]) | (rank > n_images // 2)


def _measure_reach(lattices: NDArray[np.float64], cutoff: float) -> NDArray[np.int64]:
    """Count the images of each cell along each lattice vector, in one direction."""
    heights = 1 / np.linalg.norm(np.linalg.inv(lattices), axis=1)
    reach: NDArray[np.int64] = np.ceil(cutoff / heights).astype(np.int64)
    return reach


def _list_images(widths: Tensor, ranks: Tensor) -> Tensor:
    """List the lattice translations of images by their rank in a box."""
    _, y, z = widths.T
    grid = torch.stack([ranks // (y * z), ranks // z % y, ranks % z], dim=1)
    return (grid - widths // 2).double()


def _repeat_rows(counts: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Repeat each row a number of times: rows, and the number of each repetition."""
    sources = torch.arange(len(counts), device=counts.device)
    rows = torch.repeat_interleave(sources, counts, output_size=size)
    ranks = torch.arange(size, device=rows.device)
    return rows, ranks - (torch.cumsum(counts, 0) - counts)[rows]
