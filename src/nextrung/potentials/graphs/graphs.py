"""CHGNet's atom graph and bond graph of a whole batch of crystals, as flat tensors.

The graph is chgnet's up to order: bonds up to the atom graph's cutoff, angles between
bonds shorter than the bond graph's. A bond is stored once; its message to its first
atom is row ``b`` and that to its second atom row ``n_bonds + b``. Short bonds, those
that take part in angles, come first. A *directed bond* is a short bond as seen from one
of its atoms. An angle is a pair of directed bonds of one atom, stored once; as seen
from its second directed bond it is row ``n_angles + a``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.graphs.neighbors import (
    ATOM_CUTOFF,
    BOND_CUTOFF,
    Pairs,
    find_pairs,
)
from nextrung.potentials.graphs.row_indices import find_true
from nextrung.potentials.graphs.segment_ops import SegmentPair, Segments, sort_stably
from nextrung.potentials.graphs.sites import Bonds, Sites

if TYPE_CHECKING:
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Crystals


@dataclass(frozen=True, eq=False)
class DirectedBonds:
    """Short bonds as seen from each of their two atoms, sorted by atom.

    Parameters
    ----------
    bonds : Segments
        Bond of each directed bond.
    atoms : Segments
        Atom from which each directed bond is seen.
    signs : Tensor of float, shape (n_directed, 1)
        1 where that is the first atom of the bond, else -1.
    """

    bonds: Segments
    atoms: Segments
    signs: Tensor


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """The graphs of a batch of crystals on one device.

    Parameters
    ----------
    atomic_numbers : Tensor of int, shape (n_atoms,)
        Atomic numbers of all crystals.
    owners : Segments
        Crystal of each atom.
    volumes : Tensor of float, shape (n_crystals,)
        Volumes in Å³.
    vectors : Tensor of float, shape (n_bonds, 3)
        From the second atom (its image) to the first in Å.
    messages : SegmentPair
        Receiving and sending atom of each of the ``2 n_bonds`` messages.
    directed : DirectedBonds
        Short bonds by atom.
    angles : SegmentPair
        First and second directed bond of each of the ``2 n_angles`` rows.
    """

    atomic_numbers: Tensor
    owners: Segments
    volumes: Tensor
    vectors: Tensor
    messages: SegmentPair
    directed: DirectedBonds
    angles: SegmentPair

    def __len__(self) -> int:
        """Count the crystals."""
        return len(self.volumes)

    @property
    def n_atoms(self) -> Tensor:
        """Atoms of each crystal, shape (n_crystals,)."""
        return self.owners.starts.diff()

    @property
    def n_bonds(self) -> int:
        """Bonds of the batch, each counted once."""
        return len(self.vectors)

    @property
    def n_short(self) -> int:
        """Bonds of the batch that take part in angles; they come first."""
        return len(self.directed.bonds.starts) - 1

    @property
    def n_angles(self) -> int:
        """Angles of the batch, each counted once."""
        return len(self.angles.first.index) // 2


def build_graphs(
    crystals: Crystals,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    pairs: Pairs | None = None,
) -> GraphBatch:
    """Build the graphs of a batch of crystals.

    Parameters
    ----------
    crystals : Crystals
        Crystals that pass :func:`nextrung.potentials.graphs.validity.check_crystals`.
    device : torch.device or str
        Device of the graphs.
    dtype : torch.dtype
        Floating-point type of the vectors; they are computed in float64.
    pairs : Pairs, optional
        Pairs of these crystals, or found at nearby positions with a larger cutoff.
    """
    pairs = find_pairs(crystals, device=device) if pairs is None else pairs
    bonds = _list_bonds(crystals, pairs, torch.device(device))
    sites, n_atoms = bonds.sites, len(bonds.sites)
    order, n_short, n_angles = _order_short_first(bonds)
    atoms, vectors = bonds.atoms[:, order], bonds.vectors[order]
    receivers = Segments.of(atoms.reshape(-1), n_atoms)
    directed = _direct_bonds(atoms[:, :n_short], n_atoms, dtype)
    first = Segments.of(_pair_directed_bonds(directed, n_angles), 2 * n_short)
    return GraphBatch(
        atomic_numbers=sites.atomic_numbers,
        owners=Segments.of(sites.owners, len(crystals)),
        volumes=torch.linalg.det(sites.lattices).abs().to(dtype),
        vectors=vectors.to(dtype),
        messages=SegmentPair.of(receivers, _swap_halves(receivers)),
        directed=directed,
        angles=SegmentPair.of(first, _swap_halves(first)),
    )


def _list_bonds(crystals: Crystals, pairs: Pairs, device: torch.device) -> Bonds:
    """List the pairs on a device; those of another are copied with the crystals."""
    if pairs.bonds is not None and pairs.ends.device.type == device.type:
        return pairs.bonds
    ends, images = pairs.ends, pairs.images
    if ends.device.type == device.type:
        sites, (n_pairs,) = Sites.of(crystals, device, pairs.n_pairs)
    else:
        sites, (n_pairs, ends, images) = Sites.of(
            crystals, device, pairs.n_pairs, ends.numpy(), images.numpy()
        )
    return sites.list_bonds(ends, images, n_pairs)


def _order_short_first(bonds: Bonds) -> tuple[Tensor, int, int]:
    """Order bonds within the cutoff, short ones first; count short ones and angles."""
    lengths = torch.linalg.vector_norm(bonds.vectors, dim=1)
    short = lengths < BOND_CUTOFF
    long = ~short & (lengths <= ATOM_CUTOFF)
    n_bonds = torch.zeros_like(bonds.sites.owners)
    n_bonds.index_add_(0, bonds.atoms.reshape(-1), short.repeat(2).long())
    n_angles = (n_bonds * (n_bonds - 1)).sum() // 2
    sizes = torch.stack([short.sum(), long.sum(), n_angles]).tolist()
    order = torch.cat([find_true(short, sizes[0]), find_true(long, sizes[1])])
    return order, sizes[0], sizes[2]


def _swap_halves(rows: Segments) -> Segments:
    """Exchange the two halves of rows, which are each other's reverse."""
    half = len(rows.index) // 2
    order = rows.order
    return Segments(
        index=rows.index.roll(half),
        order=torch.where(order < half, order + half, order - half),
        starts=rows.starts,
    )


def _direct_bonds(atoms: Tensor, n_atoms: int, dtype: torch.dtype) -> DirectedBonds:
    """List short bonds by the atom they are seen from."""
    n_short = atoms.shape[1]
    ends = atoms.reshape(-1)
    order = sort_stably(ends)
    bond = torch.arange(n_short, device=atoms.device).repeat(2)
    return DirectedBonds(
        bonds=Segments.of(bond[order], n_short),
        atoms=Segments.of(ends[order], n_atoms),
        signs=torch.where(order < n_short, 1.0, -1.0)[:, None].to(dtype),
    )


def _pair_directed_bonds(directed: DirectedBonds, n_angles: int) -> Tensor:
    """Pair the directed bonds of each atom: all first ones, then all second ones."""
    atoms = directed.atoms
    rows = torch.arange(len(atoms.index), device=atoms.index.device)
    n_later = atoms.starts[1:][atoms.index] - rows - 1
    first = torch.repeat_interleave(rows, n_later, output_size=n_angles)
    angles = torch.arange(n_angles, device=first.device)
    second = first + 1 + angles - (torch.cumsum(n_later, 0) - n_later)[first]
    return torch.cat([first, second])
