"""The structures that are being relaxed together, and how they board and leave."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.relaxation.fire import FireState, step_fire
from nextrung.potentials.relaxation.frechet_cell import Coordinates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.potentials.relaxation.symmetry import SiteSymmetry


@dataclass(frozen=True, eq=False)
class BatchItem:
    """A structure that boards.

    Parameters
    ----------
    index : int
        Number of the structure, as its caller counts.
    structure : Structure
        The structure as it starts.
    symmetry : SiteSymmetry or None
        Symmetry to keep.
    """

    index: int
    structure: Structure
    symmetry: SiteSymmetry | None = None


@dataclass(frozen=True, eq=False)
class InFlightBatch:
    """Structures on their way to their minima.

    Parameters
    ----------
    items : tuple of BatchItem
        The structures as they started.
    atomic_numbers : tuple of ndarray of int, shape (n_atoms,)
        Atomic numbers of each structure.
    coordinates : Coordinates
        Where they are.
    previous : Coordinates
        Where they were a step before.
    fire : FireState
        What the optimiser remembers of them.
    n_steps : ndarray of int, shape (n_structures,)
        Steps done by each.
    initial_energies : ndarray of float, shape (n_structures,)
        Energy of each at its start in eV; NaN before its first evaluation.
    """

    items: tuple[BatchItem, ...]
    atomic_numbers: tuple[NDArray[np.int64], ...]
    coordinates: Coordinates
    previous: Coordinates
    fire: FireState
    n_steps: NDArray[np.int64]
    initial_energies: NDArray[np.float64]

    @classmethod
    def start(cls, items: Sequence[BatchItem]) -> InFlightBatch:
        """Put structures at rest at their start.

        Parameters
        ----------
        items : sequence of BatchItem
            Structures with at least one atom each.

        Returns
        -------
        InFlightBatch
            The batch before its first step.
        """
        coordinates = Coordinates.undeformed(
            [item.structure.lattice.matrix for item in items],
            [item.structure.frac_coords for item in items],
        )
        return cls(
            items=tuple(items),
            atomic_numbers=tuple(
                np.array(item.structure.atomic_numbers, dtype=np.int64)
                for item in items
            ),
            coordinates=coordinates,
            previous=coordinates,
            fire=FireState.at_rest(coordinates.n_rows),
            n_steps=np.zeros(len(items), dtype=np.int64),
            initial_energies=np.full(len(items), np.nan),
        )

    def __len__(self) -> int:
        """Count the structures."""
        return len(self.items)

    @property
    def crystals(self) -> Crystals:
        """The structures as a potential wants them."""
        empty = np.zeros(0, dtype=np.int64)
        return Crystals(
            offsets=self.coordinates.offsets,
            atomic_numbers=np.concatenate([empty, *self.atomic_numbers]),
            lattices=self.coordinates.lattices,
            frac_coords=self.coordinates.frac_coords,
        )

    def keep(self, chosen: NDArray[np.bool_]) -> InFlightBatch:
        """Let all but some leave.

        Parameters
        ----------
        chosen : ndarray of bool, shape (n_structures,)
            Which to keep.

        Returns
        -------
        InFlightBatch
            Those, in the same order.
        """
        kept = np.flatnonzero(chosen)
        return InFlightBatch(
            items=tuple(self.items[k] for k in kept),
            atomic_numbers=tuple(self.atomic_numbers[k] for k in kept),
            coordinates=self.coordinates.keep(chosen),
            previous=self.previous.keep(chosen),
            fire=self.fire.keep(chosen),
            n_steps=self.n_steps[kept],
            initial_energies=self.initial_energies[kept],
        )

    def join(self, other: InFlightBatch) -> InFlightBatch:
        """Let others board.

        Parameters
        ----------
        other : InFlightBatch
            Structures to put behind these.

        Returns
        -------
        InFlightBatch
            Both, these first.
        """
        return InFlightBatch(
            items=self.items + other.items,
            atomic_numbers=self.atomic_numbers + other.atomic_numbers,
            coordinates=self.coordinates.join(other.coordinates),
            previous=self.previous.join(other.previous),
            fire=self.fire.join(other.fire),
            n_steps=np.concatenate([self.n_steps, other.n_steps]),
            initial_energies=np.concatenate(
                [self.initial_energies, other.initial_energies]
            ),
        )

    def step(self, forces: NDArray[np.float64]) -> InFlightBatch:
        """Move every structure by one step of FIRE.

        Parameters
        ----------
        forces : ndarray of float, shape ((n_atoms + 3).sum(), 3)
            Generalised forces in eV/Å.

        Returns
        -------
        InFlightBatch
            The batch a step later.
        """
        fire, displacements = step_fire(self.fire, forces)
        return replace(
            self,
            coordinates=self.coordinates.displace(displacements),
            previous=self.coordinates,
            fire=fire,
            n_steps=self.n_steps + 1,
        )

    def structure_at(self, coordinates: Coordinates, which: int) -> Structure:
        """Build one structure.

        Parameters
        ----------
        coordinates : Coordinates
            The present or the previous coordinates of the batch.
        which : int
            Number of the structure in the batch.

        Returns
        -------
        Structure
            The structure there, sites in their first order.
        """
        start, stop = coordinates.offsets[which : which + 2]
        return Structure(
            Lattice(coordinates.lattices[which]),
            self.items[which].structure.species,
            coordinates.frac_coords[start:stop],
        )
