"""Neighbor search on a GPU whose pairs are kept while crystals move a little."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from nextrung.potentials.graphs.crystals import Crystals, list_rows
from nextrung.potentials.graphs.periodic_images import (
    ImageBoxes,
    ImagePairs,
    measure_boxes,
    search_images,
)
from nextrung.potentials.graphs.row_indices import find_starts, repeat_rows
from nextrung.potentials.graphs.sites import Sites

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Selection

#: Distance in Å beyond the cutoff up to which pairs are kept. In 24 relaxations of 378
#: evaluations, 0.3, 0.6 and 0.9 Å took 95, 63 and 46 searches of a crystal, for 16, 33
#: and 52 % more pairs than those within 6 Å.
SKIN: Final = 0.6
#: Part of it that covers rounding, in Å.
_MARGIN: Final = 1e-6


@dataclass(frozen=True, eq=False)
class TrackedCrystals(Crystals):
    """Crystals that are predicted again and again while they move.

    Parameters
    ----------
    keys : ndarray of int, shape (n_crystals,)
        Identity of each crystal from one prediction to the next.
    skin : NeighborSkin
        Pairs of the last predictions.
    """

    keys: NDArray[np.int64]
    skin: NeighborSkin

    def __getitem__(self, chosen: Selection) -> TrackedCrystals:
        """Select crystals by indices, mask or slice, in the order given."""
        crystals = super().__getitem__(chosen)
        if crystals is self:
            return self
        return TrackedCrystals(**vars(crystals), keys=self.keys[chosen], skin=self.skin)


class NeighborSkin:
    """Pairs within a cutoff and a skin, which stay valid while crystals move a little.

    Parameters
    ----------
    width : float
        Width of the skin in Å.
    """

    def __init__(self, width: float = SKIN) -> None:
        self._width = width
        self._kept: _KeptPairs | None = None

    def track(self, crystals: Crystals, keys: NDArray[np.int64]) -> TrackedCrystals:
        """Mark crystals whose pairs are kept.

        Parameters
        ----------
        crystals : Crystals
            Crystals.
        keys : ndarray of int, shape (n_crystals,)
            Identity of each crystal; of two equal ones the pairs of the last are kept.
        """
        return TrackedCrystals(**vars(crystals), keys=keys, skin=self)

    def search(
        self,
        crystals: Crystals,
        keys: NDArray[np.int64],
        *,
        cutoff: float,
        device: torch.device,
    ) -> tuple[Sites, ImagePairs]:
        """Find all pairs within a cutoff, and others within the skin.

        Parameters
        ----------
        crystals : Crystals
            Crystals that pass :func:`.check_cells`.
        keys : ndarray of int, shape (n_crystals,)
            Identity of each crystal.
        cutoff : float
            Largest distance in Å.
        device : torch.device
            Device of the search.

        Returns
        -------
        sites : Sites
            The crystals on the device, copied there in one transfer.
        pairs : ImagePairs
            Their pairs; those beyond the cutoff are to be left out.
        """
        reach = cutoff + self._width
        kept = self._kept
        if kept is None or kept.cutoff != cutoff:
            kept = _KeptPairs.none(cutoff, device)
        last = kept.find_valid(crystals, keys, reach)
        widths = measure_boxes(crystals.lattices, reach)
        widths[last >= 0] = 0
        sites, (cells, own_widths, rows) = Sites.of(
            crystals,
            device,
            *(np.floor(crystals.frac_coords), widths, kept.find_rows(last)),
        )
        found = None
        if (last < 0).any():
            n_images = widths.prod(axis=1)
            boxes = ImageBoxes(own_widths, cells, n_images, crystals.n_atoms)
            found = search_images(sites, boxes, reach)
        pairs = kept.join(found, last, rows)
        self._kept = _KeptPairs(kept.refer(crystals, last), keys, cutoff, pairs)
        return sites, pairs


@dataclass(frozen=True, eq=False)
class _KeptPairs:
    """Pairs of crystals as they were when these were searched."""

    crystals: Crystals
    keys: NDArray[np.int64]
    cutoff: float
    pairs: ImagePairs

    @classmethod
    def none(cls, cutoff: float, device: torch.device) -> _KeptPairs:
        """Keep the pairs of no crystals."""
        no_rows = torch.zeros(0, dtype=torch.int64, device=device)
        images = torch.zeros((0, 3), dtype=torch.float64, device=device)
        no_number = np.zeros(0, dtype=np.int64)
        pairs = ImagePairs(no_rows.view(2, 0), images, no_rows, no_number)
        return cls(Crystals.of([]), no_number, cutoff, pairs)

    def find_valid(
        self, crystals: Crystals, keys: NDArray[np.int64], reach: float
    ) -> NDArray[np.int64]:
        """Find the row of each crystal whose pairs are still valid; -1 for none."""
        rows = {key: row for row, key in enumerate(self.keys.tolist())}
        last = np.array([rows.get(key, -1) for key in keys.tolist()], dtype=np.int64)
        last[np.append(self.crystals.n_atoms, 0)[last] != crystals.n_atoms] = -1
        known = np.flatnonzero(last >= 0)
        if len(known):
            before, now = self.crystals[last[known]], crystals[known]
            distances = _bound_distances(before, now, self.cutoff)
            last[known[distances > reach - _MARGIN]] = -1
        return last

    def find_rows(self, last: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the first pair of each crystal, -1 for none, and their number."""
        n_pairs = self.pairs.n_pairs
        starts = np.cumsum(n_pairs) - n_pairs
        return np.stack([np.append(starts, -1)[last], np.append(n_pairs, 0)[last]])

    def join(
        self, found: ImagePairs | None, last: NDArray[np.int64], rows: Tensor
    ) -> ImagePairs:
        """Join kept pairs and those found, in the order of the crystals."""
        if found is not None and not len(self.keys):
            return found
        (starts, counts), n_pairs = rows, np.append(self.pairs.n_pairs, 0)[last]
        ends, images = self.pairs.ends, self.pairs.images
        if found is not None:
            own_starts = find_starts(found.counts)[:-1] + ends.shape[1]
            starts = torch.where(starts >= 0, starts, own_starts)
            counts, n_pairs = counts + found.counts, n_pairs + found.n_pairs
            ends = torch.cat([ends, found.ends], dim=1)
            images = torch.cat([images, found.images])
        crystal, rank = repeat_rows(counts, int(n_pairs.sum()))
        chosen = starts[crystal] + rank
        return ImagePairs(ends[:, chosen], images[chosen], counts, n_pairs)

    def refer(self, crystals: Crystals, last: NDArray[np.int64]) -> Crystals:
        """Take crystals as they were when their pairs were searched."""
        known = np.flatnonzero(last >= 0)
        before = self.crystals[last[known]]
        lattices, fracs = crystals.lattices.copy(), crystals.frac_coords.copy()
        lattices[known] = before.lattices
        fracs[list_rows(crystals.offsets, known)] = before.frac_coords
        return Crystals(crystals.offsets, crystals.atomic_numbers, lattices, fracs)


def _bound_distances(
    before: Crystals, now: Crystals, cutoff: float
) -> NDArray[np.float64]:
    """Bound the earlier distance of atoms that are now within a cutoff.

    With a deformation D from the earlier lattice and displacements u beside it, what is
    now a vector v was (v - u_i + u_j) D⁻¹. The norm of D⁻¹ is at most one and the
    Frobenius norm of D⁻¹ - 1.
    """
    inverses = np.linalg.inv(now.lattices) @ before.lattices
    stretches = 1 + np.linalg.norm(inverses - np.eye(3), axis=(1, 2))
    moves = replace(now, frac_coords=now.frac_coords - before.frac_coords).cart_coords
    lengths = np.linalg.norm(moves, axis=1)
    longest = np.maximum.reduceat(lengths, now.offsets[:-1])
    bounds: NDArray[np.float64] = stretches * (cutoff + 2 * longest)
    return bounds
