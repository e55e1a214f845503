"""Batches of crystals as mace has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.graphs.sites import compute_shifts

if TYPE_CHECKING:
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.graphs.neighbors import NeighborLists

#: Atomic numbers, 0 among them.
_N_NUMBERS = 119


@dataclass(frozen=True, eq=False)
class MaceBatch:
    """A batch of crystals on a device.

    Parameters
    ----------
    data : dict of str to Tensor
        Arguments of mace's ``forward``, named as there.
    composition : Tensor of float64, shape (n_crystals, n_elements)
        Atoms of each element of the model.
    head : int
        Index of the head of the model.
    """

    data: dict[str, Tensor]
    composition: Tensor
    head: int

    @property
    def n_atoms(self) -> Tensor:
        """Atoms of each crystal, shape (n_crystals,)."""
        return self.data["ptr"].diff()


def build_batch(
    inputs: NeighborLists,
    atomic_numbers: Tensor,
    *,
    head: int,
    device: torch.device,
    dtype: torch.dtype,
) -> MaceBatch:
    """Build a batch.

    Parameters
    ----------
    inputs : NeighborLists
        Crystals of elements that the model has, and their pairs.
    atomic_numbers : Tensor of int, shape (n_elements,)
        Elements of the model.
    head : int
        Index of the head of the model.
    device : torch.device
        Device of the batch.
    dtype : torch.dtype
        Floating-point type of the batch; geometry is computed in float64.
    """
    crystals = inputs.crystals
    species = _find_species(crystals, atomic_numbers).to(device)
    owners = torch.from_numpy(crystals.crystal_of_site).to(device)
    lattices = torch.from_numpy(crystals.lattices).to(device)
    n_elements, n_crystals = len(atomic_numbers), len(crystals)
    counts = torch.bincount(
        owners * n_elements + species, minlength=n_crystals * n_elements
    )
    one_hot = torch.nn.functional.one_hot(species, n_elements).to(dtype)
    data = {
        "batch": owners,
        "ptr": torch.from_numpy(crystals.offsets).to(device),
        "head": torch.full((n_crystals,), head, device=device),
        "node_attrs": one_hot,
        "cell": lattices.view(-1, 3).to(dtype),
    }
    edges = _list_edges(inputs, lattices, owners)
    data |= {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in edges.items()
    }
    return MaceBatch(data, counts.view(n_crystals, n_elements).double(), head)


def _find_species(crystals: Crystals, atomic_numbers: Tensor) -> Tensor:
    """Find the row of each site's element in the model, shape (n_sites,)."""
    rows = torch.full((_N_NUMBERS,), -1)
    rows[atomic_numbers.cpu()] = torch.arange(len(atomic_numbers))
    return rows[torch.from_numpy(crystals.atomic_numbers)]


def _list_edges(
    inputs: NeighborLists, lattices: Tensor, owners: Tensor
) -> dict[str, Tensor]:
    """List positions, wrapped into the cell, and the edges in both directions.

    An edge points from its sender to the image of its receiver: the vector is
    ``positions[receiver] - positions[sender] + shift``.
    """
    crystals, pairs = inputs.crystals, inputs.pairs
    device = lattices.device
    frac_coords = torch.from_numpy(crystals.frac_coords).to(device)
    cells = frac_coords.floor()
    positions = compute_shifts(frac_coords - cells, lattices[owners])
    starts = torch.from_numpy(crystals.offsets[:-1]).to(device)
    first, second = pairs.ends.to(device) + starts[pairs.crystal_of_pair.to(device)]
    images = pairs.images.to(device) + cells[second] - cells[first]
    senders, unit_shifts = torch.cat([first, second]), torch.cat([images, -images])
    shifts = compute_shifts(unit_shifts, lattices[owners[senders]])
    return {
        "positions": positions,
        "edge_index": torch.stack([senders, torch.cat([second, first])]),
        "unit_shifts": unit_shifts,
        "shifts": shifts,
    }
