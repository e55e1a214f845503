"""Neighbor search over all periodic images, on any device.

Sizes are computed on the host beforehand, or read with the numbers of pairs, so that a
search waits for a GPU once per batch of candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from nextrung.potentials.graphs.row_indices import (
    count_true,
    find_starts,
    find_true,
    repeat_rows,
)
from nextrung.potentials.graphs.sites import compute_shifts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nextrung.potentials.graphs.sites import Sites

#: Candidate pairs in memory at once, at about 200 bytes each.
_MAX_CANDIDATES = 8_000_000


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """Boxes of periodic images around the cells of crystals.

    Parameters
    ----------
    widths : Tensor of int, shape (n_crystals, 3)
        Images along each lattice vector, an odd number; 0 for a crystal that is not
        searched.
    cells : Tensor of float64, shape (n_sites, 3)
        Lattice translation that wrapping removes from each site.
    n_images : ndarray of int, shape (n_crystals,)
        Images of each cell.
    n_atoms : ndarray of int, shape (n_crystals,)
        Atoms of each crystal.
    """

    widths: Tensor
    cells: Tensor
    n_images: NDArray[np.int64]
    n_atoms: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImagePairs:
    """Undirected pairs of atoms, crystal after crystal, each pair once.

    Parameters
    ----------
    ends : Tensor of int, shape (2, n_pairs)
        Both atoms of each pair, numbered within their crystal.
    images : Tensor of float64, shape (n_pairs, 3)
        Lattice translation of the second atom, for coordinates that are not wrapped.
    counts : Tensor of int, shape (n_crystals,)
        Pairs of each crystal.
    n_pairs : ndarray of int, shape (n_crystals,)
        The same on the host.
    """

    ends: Tensor
    images: Tensor
    counts: Tensor
    n_pairs: NDArray[np.int64]


def measure_boxes(lattices: NDArray[np.float64], cutoff: float) -> NDArray[np.int64]:
    """Count the images of each cell that are within a cutoff.

    Parameters
    ----------
    lattices : ndarray of float, shape (n_crystals, 3, 3)
        Lattice vectors as rows in Å.
    cutoff : float
        Largest distance of two atoms in Å.

    Returns
    -------
    ndarray of int, shape (n_crystals, 3)
        Images along each lattice vector; the cell itself is in the middle.
    """
    heights = 1 / np.linalg.norm(np.linalg.inv(lattices), axis=1)
    widths: NDArray[np.int64] = 2 * np.ceil(cutoff / heights).astype(np.int64) + 1
    return widths


def search_images(sites: Sites, boxes: ImageBoxes, cutoff: float) -> ImagePairs:
    """Find all pairs of atoms of each crystal that are within a cutoff.

    Parameters
    ----------
    sites : Sites
        Crystals.
    boxes : ImageBoxes
        Their images within the cutoff.
    cutoff : float
        Largest distance in Å.
    """
    candidates = _Candidates.of(sites, boxes)
    starts = range(0, max(candidates.size, 1), _MAX_CANDIDATES)
    parts = [candidates.filter(start, cutoff) for start in starts]
    return ImagePairs(
        ends=torch.cat([part.ends for part in parts], dim=1),
        images=torch.cat([part.images for part in parts]),
        counts=torch.stack([part.counts for part in parts]).sum(dim=0),
        n_pairs=np.sum([part.n_pairs for part in parts], axis=0),
    )


@dataclass(frozen=True, eq=False)
class _Candidates:
    """All images of all pairs of sites that may be within a cutoff.

    Candidates are numbered crystal after crystal, pair after pair of sites, image after
    image; the image in the middle is the cell itself. Their starts have a row per
    crystal and one more.
    """

    size: int
    starts: Tensor
    pair_starts: Tensor
    image_starts: Tensor
    pairs: Tensor
    images: Tensor
    shifts: Tensor
    numbers: Tensor
    coords: Tensor
    cells: Tensor

    @classmethod
    def of(cls, sites: Sites, boxes: ImageBoxes) -> _Candidates:
        """List all pairs of sites and all images of each crystal."""
        n_pairs = boxes.n_atoms * (boxes.n_atoms + 1) // 2
        indices = torch.arange(len(sites), device=sites.owners.device)
        n_later = sites.offsets[sites.owners + 1] - indices
        first, distance = repeat_rows(n_later, int(n_pairs.sum()))
        n_images = boxes.widths.prod(dim=1)
        crystal, rank = repeat_rows(n_images, int(boxes.n_images.sum()))
        images = _list_images(boxes.widths[crystal], rank)
        n_atoms = sites.offsets.diff()
        counts = n_atoms * (n_atoms + 1) // 2
        return cls(
            size=int((n_pairs * boxes.n_images).sum()),
            starts=find_starts(counts * n_images),
            pair_starts=find_starts(counts),
            image_starts=find_starts(n_images),
            pairs=torch.stack([first, first + distance]),
            images=images,
            shifts=compute_shifts(images, sites.lattices[crystal]),
            numbers=indices - sites.offsets[sites.owners],
            coords=sites.coords
            - compute_shifts(boxes.cells, sites.lattices[sites.owners]),
            cells=boxes.cells,
        )

    def filter(self, start: int, cutoff: float) -> ImagePairs:
        """Find the pairs within a cutoff among a batch of candidates."""
        stop = min(start + _MAX_CANDIDATES, self.size)
        atoms, image, is_kept = self._list(start, stop)
        vectors = self.coords[atoms[0]] - self.coords[atoms[1]] - self.shifts[image]
        lengths = torch.linalg.vector_norm(vectors, dim=1)
        kept = (lengths <= cutoff) & is_kept
        counts = count_true(kept, (self.starts - start).clamp(0, stop - start))
        n_pairs: NDArray[np.int64] = counts.cpu().numpy()
        rows = find_true(kept, int(n_pairs.sum()))
        atoms = atoms[:, rows]
        unwrapping = self.cells[atoms[0]] - self.cells[atoms[1]]
        return ImagePairs(
            ends=self.numbers[atoms],
            images=self.images[image[rows]] + unwrapping,
            counts=counts,
            n_pairs=n_pairs,
        )

    def _list(self, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        """List both sites, the image, and whether it is the direction that is kept."""
        candidates = torch.arange(start, stop, device=self.starts.device)
        crystal = torch.searchsorted(self.starts, candidates, right=True) - 1
        n_images = self.image_starts.diff()[crystal]
        within = candidates - self.starts[crystal]
        pair = within // n_images
        rank = within - pair * n_images
        atoms = self.pairs[:, self.pair_starts[crystal] + pair]
        image = self.image_starts[crystal] + rank
        return atoms, image, (atoms[0] != atoms[1]) | (rank > n_images // 2)


def _list_images(widths: Tensor, ranks: Tensor) -> Tensor:
    """List the lattice translations of images by their rank in a box."""
    _, y, z = widths.T
    grid = torch.stack([ranks // (y * z), ranks // z % y, ranks % z], dim=1)
    return (grid - widths // 2).double()
