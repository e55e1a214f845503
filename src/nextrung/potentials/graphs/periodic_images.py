"""Neighbor search over all periodic images, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nextrung.potentials.graphs.batching import split_by_cost

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Crystals

#: Candidate pairs in memory at once, at about 100 bytes each.
_MAX_CANDIDATES = 8_000_000


def search_images(
    crystals: Crystals, cutoff: float, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, NDArray[np.int64]]:
    """Find all pairs of atoms of each crystal that are within a cutoff.

    Parameters
    ----------
    crystals : Crystals
        Valid crystals with fractional coordinates from 0 to 1.
    cutoff : float
        Largest distance in Å.
    device : torch.device
        Device of the search.

    Returns
    -------
    ends : Tensor of int, shape (2, n_pairs)
        Both sites of each pair, crystal after crystal, each pair once.
    images : Tensor of float64, shape (n_pairs, 3)
        Lattice translation of the second site.
    lengths : Tensor of float64, shape (n_pairs,)
        Distances in Å.
    n_pairs : ndarray of int, shape (n_crystals,)
        Pairs of each crystal.
    """
    owners = torch.from_numpy(crystals.crystal_of_site).to(device)
    lattices = torch.from_numpy(crystals.lattices).to(device)
    images, image_counts = _list_images(lattices, cutoff)
    cells = torch.repeat_interleave(lattices, image_counts, dim=0)
    shifts = (images[:, None] @ cells)[:, 0]
    image_starts = torch.cumsum(image_counts, 0) - image_counts
    coords = torch.from_numpy(crystals.cart_coords).to(device)
    ends = _list_atom_pairs(crystals, device)
    crystal_of_pair = owners[ends[0]]
    costs = image_counts[crystal_of_pair].cpu().numpy()
    found = []
    for batch in split_by_cost(costs, _MAX_CANDIDATES) or [slice(0)]:
        crystal = crystal_of_pair[batch]
        pair, rank = _repeat_rows(image_counts[crystal])
        first, second = ends[:, batch][:, pair]
        image = image_starts[crystal][pair] + rank
        vectors = coords[first] - coords[second] - shifts[image]
        lengths = torch.linalg.vector_norm(vectors, dim=1)
        behind = rank > image_counts[crystal][pair] // 2
        kept = (lengths <= cutoff) & ((first != second) | behind)
        found.append((first[kept], second[kept], image[kept], lengths[kept]))
    firsts, seconds, chosen, distances = (
        torch.cat(rows) for rows in zip(*found, strict=True)
    )
    n_pairs = torch.bincount(owners[firsts], minlength=len(crystals)).cpu().numpy()
    return torch.stack([firsts, seconds]), images[chosen], distances, n_pairs


def _list_images(lattices: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """List the images of each cell within the cutoff; the cell itself is the middle."""
    heights = 1 / torch.linalg.vector_norm(torch.linalg.inv(lattices), dim=1)
    reach = torch.ceil(cutoff / heights).long()
    widths = 2 * reach + 1
    n_images = widths.prod(dim=1)
    crystal, rank = _repeat_rows(n_images)
    _, y, z = widths[crystal].T
    grid = torch.stack([rank // (y * z), rank // z % y, rank % z], dim=1)
    return (grid - reach[crystal]).to(lattices.dtype), n_images


def _list_atom_pairs(crystals: Crystals, device: torch.device) -> Tensor:
    """List all sites with themselves and with the later sites of their crystal."""
    sites = torch.arange(len(crystals.atomic_numbers), device=device)
    stops = np.repeat(crystals.offsets[1:], crystals.n_atoms)
    n_later = torch.from_numpy(stops).to(device) - sites
    first, rank = _repeat_rows(n_later)
    return torch.stack([first, first + rank])


def _repeat_rows(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat each row a number of times: rows, and the number of each repetition."""
    rows = torch.repeat_interleave(counts)
    ranks = torch.arange(len(rows), device=rows.device)
    return rows, ranks - (torch.cumsum(counts, 0) - counts)[rows]
