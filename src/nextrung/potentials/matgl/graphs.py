"""Batches of crystals as graphs of matgl."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch_geometric.data import Batch

if TYPE_CHECKING:
    from nextrung.potentials.graphs.neighbors import NeighborLists


def build_graph(
    inputs: NeighborLists,
    *,
    types: torch.Tensor,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[Batch, torch.Tensor]:
    """Build the batched graph of crystals.

    Parameters
    ----------
    inputs : NeighborLists
        Crystals and their pairs.
    types : Tensor of int, shape (119,)
        Index of each element of the model by atomic number.
    device : torch.device
        Device of the tensors.
    dtype : torch.dtype
        Their floating-point type.

    Returns
    -------
    graph : Batch
        Both directions of each pair, ordered by the first atom as three-body models
        of matgl need it; matgl adds the Cartesian coordinates.
    lattices : Tensor, shape (n_crystals, 3, 3)
        Lattice vectors as rows in Å.
    """
    crystals, pairs = inputs.crystals, inputs.pairs
    starts = np.repeat(crystals.offsets[:-1], pairs.n_pairs)
    ends = (pairs.ends + torch.from_numpy(starts).to(pairs.ends.device)).to(device)
    edges = torch.cat([ends, ends.flip(0)], dim=1)
    images = torch.cat([pairs.images, -pairs.images]).to(device, dtype)
    order = torch.argsort(edges[0], stable=True)
    numbers = torch.from_numpy(crystals.atomic_numbers)
    graph = Batch(
        num_nodes=len(numbers),
        batch=torch.from_numpy(crystals.crystal_of_site).to(device),
        ptr=torch.from_numpy(crystals.offsets).to(device),
        edge_index=edges[:, order],
        pbc_offset=images[order],
        node_type=types[numbers].to(device),
        frac_coords=torch.from_numpy(crystals.frac_coords).to(device, dtype),
    )
    return graph, torch.from_numpy(crystals.lattices).to(device, dtype)
