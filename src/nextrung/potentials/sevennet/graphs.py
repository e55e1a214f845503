"""Pairs of atoms within the cutoff of SevenNet, of a whole batch of crystals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.graphs.segment_ops import Segments
from nextrung.potentials.graphs.sites import compute_shifts

if TYPE_CHECKING:
    from torch import Tensor

    from nextrung.potentials.graphs.neighbors import NeighborLists


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Pairs of atoms of a batch of crystals on one device.

    Parameters
    ----------
    atomic_numbers : Tensor of int, shape (n_atoms,)
        Atomic numbers of all crystals.
    owners : Segments
        Crystal of each atom.
    volumes : Tensor of float, shape (n_crystals,)
        Volumes in Å³.
    vectors : Tensor of float, shape (n_pairs, 3)
        From the first atom to the second (its image) in Å.
    ends : Segments
        First and second atom of each pair, which alternate.
    """

    atomic_numbers: Tensor
    owners: Segments
    volumes: Tensor
    vectors: Tensor
    ends: Segments

    def __len__(self) -> int:
        """Count the crystals."""
        return len(self.volumes)

    @property
    def n_atoms(self) -> Tensor:
        """Atoms of each crystal, shape (n_crystals,)."""
        return self.owners.starts.diff()

    @property
    def reversed_ends(self) -> Segments:
        """Second and first atom of each pair, which alternate."""
        return Segments(
            index=self.ends.index.view(-1, 2).flip(1).view(-1),
            order=self.ends.order ^ 1,
            starts=self.ends.starts,
        )


def build_pairs(
    inputs: NeighborLists, device: torch.device | str, dtype: torch.dtype
) -> PairBatch:
    """Build the batch of some crystals.

    Parameters
    ----------
    inputs : NeighborLists
        Crystals and pairs.
    device : torch.device or str
        Device of the batch.
    dtype : torch.dtype
        Floating-point type of the vectors; they are computed in float64.

    Returns
    -------
    PairBatch
        Pairs on the device.
    """
    crystals, pairs = inputs.crystals, inputs.pairs
    lattices = torch.from_numpy(crystals.lattices).to(device)
    coords = torch.from_numpy(crystals.cart_coords).to(device)
    owners = torch.from_numpy(crystals.crystal_of_site).to(device)
    crystal = pairs.crystal_of_pair.to(device)
    starts = torch.from_numpy(crystals.offsets[:-1]).to(device)
    atoms = pairs.ends.to(device) + starts[crystal]
    shifts = compute_shifts(pairs.images.to(device), lattices[crystal])
    return PairBatch(
        atomic_numbers=torch.from_numpy(crystals.atomic_numbers).to(device),
        owners=Segments.of(owners, len(crystals)),
        volumes=torch.linalg.det(lattices).abs().to(dtype),
        vectors=(coords[atoms[1]] - coords[atoms[0]] + shifts).to(dtype),
        ends=Segments.of(atoms.T.reshape(-1), len(owners)),
    )
