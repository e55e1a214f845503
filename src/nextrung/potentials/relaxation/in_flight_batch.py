"""Structures that are relaxed in one batch, some of them replaced between steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.inputs import copy_structure
from nextrung.potentials.relaxation.fire import FireState, step_fire
from nextrung.potentials.relaxation.frechet_cell import Coordinates
from nextrung.potentials.relaxation.restart import RestartPoint
from nextrung.potentials.relaxation.system_batch import SystemBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.relaxation.symmetry import SiteSymmetry


@dataclass(frozen=True, eq=False)
class BatchItem:
    """A structure to relax.

    Parameters
    ----------
    index : int
        Index of the structure given by the caller.
    structure : Structure
        The initial structure.
    symmetry : SiteSymmetry or None
        Symmetry to keep.
    restart : RestartPoint or None
        State to resume from.
    """

    index: int
    structure: Structure
    symmetry: SiteSymmetry | None = None
    restart: RestartPoint | None = None


@dataclass(frozen=True, eq=False)
class InFlightBatch(SystemBatch):
    """Structures under relaxation.

    Parameters
    ----------
    items : tuple of BatchItem
        The initial structures.
    atomic_numbers : tuple of ndarray of int, shape (n_atoms,)
        Atomic numbers of each structure.
    coordinates : Coordinates
        Present coordinates.
    previous : Coordinates
        Coordinates before the last step.
    fire : FireState
        State of the optimiser.
    n_steps : ndarray of int, shape (n_structures,)
        Steps done by each structure.
    initial_energies : ndarray of float, shape (n_structures,)
        Energy of each initial structure in eV; NaN before its first evaluation.
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
        """Build the batch of structures before their next step, mostly the first.

        Parameters
        ----------
        items : sequence of BatchItem
            Structures with at least one atom each.
        """
        coordinates = Coordinates.undeformed(
            [item.structure.lattice.matrix for item in items],
            [item.structure.frac_coords for item in items],
        )
        batch = cls(
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
        return batch._restore() if any(item.restart for item in items) else batch

    def _restore(self) -> Self:
        """Replace the initial states of structures by their restart points."""
        batch = replace(
            self, previous=replace(self.previous, rows=self.previous.rows.copy())
        )
        fire, ends = batch.fire, np.cumsum(batch.coordinates.n_rows)
        for position, item in enumerate(batch.items):
            if item.restart is not None:
                rows = slice(ends[position] - len(item.restart.rows), ends[position])
                batch.coordinates.rows[rows] = item.restart.rows
                batch.previous.rows[rows] = item.restart.previous_rows
                fire.velocities[rows] = item.restart.velocities
                fire.time_steps[position] = item.restart.time_step
                fire.mixings[position] = item.restart.mixing
                fire.n_downhill[position] = item.restart.n_downhill
                fire.moving[position] = True
                batch.n_steps[position] = item.restart.n_steps
                batch.initial_energies[position] = item.restart.initial_energy
        return batch

    def restart_points(self) -> dict[int, RestartPoint]:
        """Return the restart points of the structures that have made a step.

        Returns
        -------
        dict of int to RestartPoint
            Restart point by index of a structure.
        """
        ends = np.cumsum(self.coordinates.n_rows)
        points = {}
        for position in np.flatnonzero(self.n_steps > 0).tolist():
            start = ends[position] - self.coordinates.n_rows[position]
            rows = slice(start, ends[position])
            points[self.items[position].index] = RestartPoint(
                rows=self.coordinates.rows[rows],
                previous_rows=self.previous.rows[rows],
                velocities=self.fire.velocities[rows],
                time_step=float(self.fire.time_steps[position]),
                mixing=float(self.fire.mixings[position]),
                n_downhill=int(self.fire.n_downhill[position]),
                n_steps=int(self.n_steps[position]),
                initial_energy=float(self.initial_energies[position]),
            )
        return points

    def __len__(self) -> int:
        """Count the structures."""
        return len(self.items)

    @property
    def crystals(self) -> Crystals:
        """The structures at their present coordinates."""
        empty = np.zeros(0, dtype=np.int64)
        return Crystals(
            offsets=self.coordinates.offsets,
            atomic_numbers=np.concatenate([empty, *self.atomic_numbers]),
            lattices=self.coordinates.lattices,
            frac_coords=self.coordinates.frac_coords,
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
            The batch after the step.
        """
        fire, displacements = step_fire(self.fire, forces)
        rows = self.coordinates.rows + displacements
        return replace(
            self,
            coordinates=replace(self.coordinates, rows=rows),
            previous=self.coordinates,
            fire=fire,
            n_steps=self.n_steps + 1,
        )

    def structure_at(self, coordinates: Coordinates, position: int) -> Structure:
        """Build one structure.

        Parameters
        ----------
        coordinates : Coordinates
            The present or the previous coordinates of the batch.
        position : int
            Position of the structure in the batch.

        Returns
        -------
        Structure
            The structure, its sites in their initial order with their properties.
        """
        start, stop = coordinates.offsets[position : position + 2]
        return copy_structure(
            self.items[position].structure,
            coordinates.lattices[position],
            coordinates.frac_coords[start:stop],
        )
