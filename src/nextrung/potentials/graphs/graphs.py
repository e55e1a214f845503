"""CHGNet's atom graph and bond graph of a whole batch of crystals, as flat tensors.

The graph is chgnet's up to order: bonds up to the atom graph's cutoff, angles between
bonds shorter than the bond graph's. Rows are laid out for speed. A bond is kept once;
the message it carries towards its first atom is row ``b`` and the one towards its
second atom row ``n_bonds + b``. Bonds that take part in angles come first. Such a
bond seen from one of its atoms is an *arm*; an angle is a pair of arms of one atom,
kept once, and seen from its second arm it is row ``n_angles + a``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.neighbors import (
    ATOM_CUTOFF,
    BOND_CUTOFF,
    Pairs,
    find_pairs,
)
from nextrung.potentials.graphs.segment_ops import SegmentPair, Segments, sort_stably

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Crystals", "GraphBatch", "build_graphs"]


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
        Atom that each of the ``2 n_bonds`` messages goes to, and atom it comes from.
    arm_bonds : Segments
        Bond of each of the arms.
    arm_atoms : Segments
        Atom of each of the arms.
    arm_signs : Tensor of float, shape (n_arms, 1)
        1 where the arm belongs to the first atom of its bond, else -1.
    angles : SegmentPair
        Arm from which each of the ``2 n_angles`` rows sees its angle, and the other.
    """

    atomic_numbers: Tensor
    owners: Segments
    volumes: Tensor
    vectors: Tensor
    messages: SegmentPair
    arm_bonds: Segments
    arm_atoms: Segments
    arm_signs: Tensor
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
        return len(self.arm_bonds.starts) - 1

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

    Crystals must be free of faults, see
    :func:`nextrung.potentials.graphs.validity.find_faults`.

    Parameters
    ----------
    crystals : Crystals
        Crystals without faults.
    device : torch.device or str
        Where the graphs are wanted.
    dtype : torch.dtype
        Floating-point type of the vectors; they are computed in float64.
    pairs : Pairs, optional
        Pairs found before, at these or at nearby positions with a larger cutoff.

    Returns
    -------
    GraphBatch
        The graphs.
    """
    pairs = find_pairs(crystals, device=device) if pairs is None else pairs
    owners = torch.from_numpy(crystals.crystal_of_site).to(device)
    lattices = torch.from_numpy(crystals.lattices).to(device)
    atoms, vectors = _bond_atoms(crystals, pairs, device)
    lengths = torch.linalg.vector_norm(vectors, dim=1)
    order, n_short = _short_first(lengths)
    atoms, vectors = atoms[:, order], vectors[order]
    centres = Segments.of(atoms.reshape(-1), len(owners))
    arms = _list_directed_bonds(atoms[:, :n_short], len(owners))
    left = Segments.of(_pair_directed_bonds(arms.arm_atoms), len(arms.arm_bonds.index))
    return GraphBatch(
        atomic_numbers=torch.from_numpy(crystals.atomic_numbers).to(device),
        owners=Segments.of(owners, len(crystals)),
        volumes=torch.linalg.det(lattices).abs().to(dtype),
        vectors=vectors.to(dtype),
        messages=SegmentPair.of(centres, _swap_ends(centres)),
        arm_bonds=arms.arm_bonds,
        arm_atoms=arms.arm_atoms,
        arm_signs=arms.arm_signs.to(dtype),
        angles=SegmentPair.of(left, _swap_ends(left)),
    )


@dataclass(frozen=True, eq=False)
class _DirectedBonds:
    """Short bonds seen from each of their two atoms, sorted by atom."""

    arm_bonds: Segments
    arm_atoms: Segments
    arm_signs: Tensor


def _bond_atoms(
    crystals: Crystals, pairs: Pairs, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """List the atoms of the pairs, numbered through the batch, and their vectors."""
    crystal = pairs.crystal_of_pair.to(device)
    starts = torch.from_numpy(crystals.offsets[:-1]).to(device)
    atoms = pairs.ends.to(device) + starts[crystal]
    coords = torch.from_numpy(crystals.cart_coords).to(device)
    lattices = torch.from_numpy(crystals.lattices).to(device)
    shifts = (pairs.images.to(device)[:, None] @ lattices[crystal])[:, 0]
    return atoms, coords[atoms[0]] - coords[atoms[1]] - shifts


def _short_first(lengths: Tensor) -> tuple[Tensor, int]:
    """Order bonds: those with angles, then the others, then none beyond the cutoff."""
    short = torch.nonzero(lengths < BOND_CUTOFF)[:, 0]
    long = torch.nonzero((lengths >= BOND_CUTOFF) & (lengths <= ATOM_CUTOFF))[:, 0]
    return torch.cat([short, long]), len(short)


def _swap_ends(rows: Segments) -> Segments:
    """Exchange the two halves of rows that are each other's reverse."""
    half = len(rows.index) // 2
    order = rows.order
    return Segments(
        index=rows.index.roll(half),
        order=torch.where(order < half, order + half, order - half),
        starts=rows.starts,
    )


def _list_directed_bonds(atoms: Tensor, n_atoms: int) -> _DirectedBonds:
    """List short bonds by the atom they are seen from."""
    n_short = atoms.shape[1]
    ends = atoms.reshape(-1)
    order = sort_stably(ends)
    bond = torch.arange(n_short, device=atoms.device).repeat(2)
    return _DirectedBonds(
        arm_bonds=Segments.of(bond[order], n_short),
        arm_atoms=Segments.of(ends[order], n_atoms),
        arm_signs=torch.where(order < n_short, 1.0, -1.0)[:, None],
    )


def _pair_directed_bonds(arm_atoms: Segments) -> Tensor:
    """Pair the arms of each atom: the left arms of all angles, then the right ones."""
    arms = torch.arange(len(arm_atoms.index), device=arm_atoms.index.device)
    n_later = arm_atoms.starts[1:][arm_atoms.index] - arms - 1
    left = torch.repeat_interleave(arms, n_later)
    angles = torch.arange(len(left), device=left.device)
    right = left + 1 + angles - (torch.cumsum(n_later, 0) - n_later)[left]
    return torch.cat([left, right])
