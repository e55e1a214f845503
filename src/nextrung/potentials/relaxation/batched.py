"""Relaxation engine ``batched``: many structures at once, replaced in flight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from ase import units

from nextrung.potentials.relaxation.autobatcher import Queue, estimate_costs
from nextrung.potentials.relaxation.checks import (
    BAD_NUMBERS,
    describe_cells,
    record_end,
    record_failure,
)
from nextrung.potentials.relaxation.frechet_cell import generalise_forces
from nextrung.potentials.relaxation.in_flight_batch import Flight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.chgnet.prediction import BatchPrediction
    from nextrung.potentials.relaxation.engines import Relaxable
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Energies, forces and stresses beyond this are as good as infinite.
_ABSURD: Final = 1e30
#: Neighbours and angles in flight: what one batch of a core's cache, or a GPU, takes.
FLIGHT_COSTS: Final = {"cpu": 16_000.0, "cuda": 2_000_000.0}


def relax_batched(
    potential: Relaxable,
    waiting: Iterable[tuple[int, Structure]],
    settings: RelaxationSettings,
    *,
    flight_cost: float | None = None,
) -> Iterator[tuple[int, RelaxationRecord]]:
    """Relax structures in batches whose finished members are replaced.

    Parameters
    ----------
    potential : Relaxable
        What predicts energies, forces and stresses.
    waiting : iterable of (int, Structure)
        Numbered structures, drawn as there is room.
    settings : RelaxationSettings
        How to relax.
    flight_cost : float, optional
        Neighbours and angles in flight beyond which no other structure boards; by
        default what suits the device of the potential.

    Yields
    ------
    tuple of (int, RelaxationRecord)
        Number and end of each structure, as they end.
    """
    if flight_cost is None:
        flight_cost = FLIGHT_COSTS[potential.device.type]
    queue = Queue(waiting, settings)
    flight = Flight.start([])
    while len(flight) or queue:
        flight = flight.join(queue.board(flight_cost - _sum_costs(flight)))
        yield from queue.pop_refused()
        flight, lost = _drop_torn(flight)
        yield from lost
        evaluation = _evaluate(potential, flight, settings)
        flight = replace(
            flight,
            initial_energies=np.where(
                flight.n_steps == 0, evaluation.energies, flight.initial_energies
            ),
        )
        leaving = np.isnan(evaluation.energies) | (evaluation.fmaxes < settings.fmax)
        leaving |= flight.n_steps >= settings.max_steps
        for which in np.flatnonzero(leaving).tolist():
            yield _record(flight, evaluation, which, fmax=settings.fmax)
        staying_rows = np.repeat(~leaving, flight.coordinates.n_rows)
        flight = flight.keep(~leaving).step(evaluation.forces[staying_rows])


def _sum_costs(flight: Flight) -> float:
    """Estimate what one evaluation of a flight costs."""
    coordinates = flight.coordinates
    return float(estimate_costs(coordinates.lattices, coordinates.n_atoms).sum())


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """What a potential says of a flight; energies are NaN, forces 0 if it failed."""

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    fmaxes: NDArray[np.float64]
    reasons: dict[int, str]


def _drop_torn(flight: Flight) -> tuple[Flight, list[tuple[int, RelaxationRecord]]]:
    """Let structures leave whose cell has collapsed or exploded."""
    coordinates = flight.coordinates
    faults = describe_cells(
        coordinates.lattices, coordinates.n_atoms, coordinates.deformations
    )
    lost = [
        _record_failure(flight, which, fault)
        for which, fault in enumerate(faults)
        if fault is not None
    ]
    if not lost:
        return flight, lost
    return flight.keep(np.array([fault is None for fault in faults])), lost


def _evaluate(
    potential: Relaxable, flight: Flight, settings: RelaxationSettings
) -> _Evaluation:
    """Ask the potential, and turn its answer into generalised forces."""
    if not len(flight):
        return _Evaluation(np.zeros(0), np.zeros((0, 3)), np.zeros(0), {})
    coordinates = flight.coordinates
    prediction = potential.predict(flight.crystals, "efs")
    failed = _find_failed(prediction, coordinates.n_atoms)
    forces = np.array(prediction.forces, dtype=np.float64)
    forces[np.repeat(failed, coordinates.n_atoms)] = 0
    stresses = np.array(prediction.stresses, dtype=np.float64) * units.GPa
    stresses[failed] = 0
    _average_over_symmetry(flight, forces, stresses)
    rows = generalise_forces(coordinates, forces, stresses, degrees=settings.cell)
    starts = np.cumsum(coordinates.n_rows) - coordinates.n_rows
    lengths = np.sqrt((rows**2).sum(axis=1))
    return _Evaluation(
        energies=np.where(failed, np.nan, prediction.energies),
        forces=rows,
        fmaxes=np.where(failed, np.nan, np.maximum.reduceat(lengths, starts)),
        reasons=prediction.errors,
    )


def _find_failed(
    prediction: BatchPrediction, n_atoms: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Find the crystals for which a number is missing, not finite or absurd."""
    starts = np.cumsum(n_atoms) - n_atoms
    sane_sites = (np.abs(prediction.forces) < _ABSURD).all(axis=1)
    sane = np.logical_and.reduceat(sane_sites, starts)
    sane &= (np.abs(prediction.stresses) < _ABSURD).all(axis=(1, 2))
    sane &= np.abs(prediction.energies) < _ABSURD
    sane[list(prediction.errors)] = False
    failed: NDArray[np.bool_] = ~sane
    return failed


def _average_over_symmetry(
    flight: Flight, forces: NDArray[np.float64], stresses: NDArray[np.float64]
) -> None:
    """Give forces and stresses, in place, the symmetries that are to be kept."""
    offsets = flight.coordinates.offsets
    for which, passenger in enumerate(flight.passengers):
        symmetry = passenger.symmetry
        if symmetry is not None:
            sites = slice(offsets[which], offsets[which + 1])
            lattice = flight.coordinates.lattices[which]
            forces[sites] = symmetry.average_forces(forces[sites], lattice)
            stresses[which] = symmetry.average_stress(stresses[which], lattice)


def _record(
    flight: Flight, evaluation: _Evaluation, which: int, *, fmax: float
) -> tuple[int, RelaxationRecord]:
    """Record the end of one structure."""
    energy = float(evaluation.energies[which])
    if np.isnan(energy):
        return _record_failure(
            flight, which, evaluation.reasons.get(which, BAD_NUMBERS)
        )
    reached = float(evaluation.fmaxes[which])
    record = record_end(
        flight.structure_at(flight.coordinates, which),
        (float(flight.initial_energies[which]), energy),
        n_steps=int(flight.n_steps[which]),
        fmax=reached,
        converged=reached < fmax,
    )
    return flight.passengers[which].index, record


def _record_failure(
    flight: Flight, which: int, reason: str
) -> tuple[int, RelaxationRecord]:
    """Record the failure of one structure, with where it last was well."""
    index = flight.passengers[which].index
    if flight.n_steps[which] == 0:
        return index, record_failure(reason)
    record = record_failure(
        reason,
        flight.structure_at(flight.previous, which),
        n_steps=int(flight.n_steps[which]),
        initial_energy=float(flight.initial_energies[which]),
    )
    return index, record
