"""Relaxation engine ``batched``: many structures at once, replaced in flight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from ase import units

from nextrung.potentials.relaxation.autobatcher import (
    InFlightAutoBatcher,
    estimate_costs,
)
from nextrung.potentials.relaxation.checks import (
    BAD_NUMBERS,
    describe_cells,
    record_end,
    record_failure,
)
from nextrung.potentials.relaxation.frechet_cell import generalise_forces
from nextrung.potentials.relaxation.in_flight_batch import InFlightBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.interface import BatchPrediction, Relaxable
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Energies, forces and stresses beyond this are as good as infinite.
_ABSURD: Final = 1e30
#: Neighbours and angles in flight: what one batch of a core's cache, or a GPU, takes.
MAX_BATCH_COSTS: Final = {"cpu": 16_000.0, "cuda": 2_000_000.0}


def relax_batched(
    potential: Relaxable,
    waiting: Iterable[tuple[int, Structure]],
    settings: RelaxationSettings,
    *,
    max_batch_cost: float | None = None,
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
    max_batch_cost : float, optional
        Neighbours and angles in flight beyond which no other structure boards; by
        default what suits the device of the potential.

    Yields
    ------
    tuple of (int, RelaxationRecord)
        Number and end of each structure, as they end.
    """
    if max_batch_cost is None:
        max_batch_cost = MAX_BATCH_COSTS[potential.device.type]
    autobatcher = InFlightAutoBatcher(waiting, settings)
    batch = InFlightBatch.start([])
    while len(batch) or autobatcher:
        batch = batch.join(autobatcher.fill(max_batch_cost - _sum_costs(batch)))
        yield from autobatcher.pop_rejected()
        batch, lost = _drop_overstrained(batch)
        yield from lost
        evaluation = _evaluate(potential, batch, settings)
        batch = replace(
            batch,
            initial_energies=np.where(
                batch.n_steps == 0, evaluation.energies, batch.initial_energies
            ),
        )
        leaving = np.isnan(evaluation.energies) | (evaluation.fmaxes < settings.fmax)
        leaving |= batch.n_steps >= settings.max_steps
        for which in np.flatnonzero(leaving).tolist():
            yield _record(batch, evaluation, which, fmax=settings.fmax)
        staying_rows = np.repeat(~leaving, batch.coordinates.n_rows)
        batch = batch.keep(~leaving).step(evaluation.forces[staying_rows])


def _sum_costs(batch: InFlightBatch) -> float:
    """Estimate what one evaluation of a batch costs."""
    coordinates = batch.coordinates
    return float(estimate_costs(coordinates.lattices, coordinates.n_atoms).sum())


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """What a potential says of a batch; energies are NaN, forces 0 if it failed."""

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    fmaxes: NDArray[np.float64]
    reasons: dict[int, str]


def _drop_overstrained(
    batch: InFlightBatch,
) -> tuple[InFlightBatch, list[tuple[int, RelaxationRecord]]]:
    """Let structures leave whose cell has collapsed or exploded."""
    coordinates = batch.coordinates
    faults = describe_cells(
        coordinates.lattices, coordinates.n_atoms, coordinates.deformations
    )
    lost = [
        _record_failure(batch, which, fault)
        for which, fault in enumerate(faults)
        if fault is not None
    ]
    if not lost:
        return batch, lost
    return batch.keep(np.array([fault is None for fault in faults])), lost


def _evaluate(
    potential: Relaxable, batch: InFlightBatch, settings: RelaxationSettings
) -> _Evaluation:
    """Ask the potential, and turn its answer into generalised forces."""
    if not len(batch):
        return _Evaluation(np.zeros(0), np.zeros((0, 3)), np.zeros(0), {})
    coordinates = batch.coordinates
    prediction = potential.predict_batch(batch.crystals, "efs")
    failed = _find_failed(prediction, coordinates.n_atoms)
    forces = np.array(prediction.forces, dtype=np.float64)
    forces[np.repeat(failed, coordinates.n_atoms)] = 0
    stresses = np.array(prediction.stresses, dtype=np.float64) * units.GPa
    stresses[failed] = 0
    _average_over_symmetry(batch, forces, stresses)
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
    batch: InFlightBatch, forces: NDArray[np.float64], stresses: NDArray[np.float64]
) -> None:
    """Give forces and stresses, in place, the symmetries that are to be kept."""
    offsets = batch.coordinates.offsets
    for which, item in enumerate(batch.items):
        symmetry = item.symmetry
        if symmetry is not None:
            sites = slice(offsets[which], offsets[which + 1])
            lattice = batch.coordinates.lattices[which]
            forces[sites] = symmetry.average_forces(forces[sites], lattice)
            stresses[which] = symmetry.average_stress(stresses[which], lattice)


def _record(
    batch: InFlightBatch, evaluation: _Evaluation, which: int, *, fmax: float
) -> tuple[int, RelaxationRecord]:
    """Record the end of one structure."""
    energy = float(evaluation.energies[which])
    if np.isnan(energy):
        return _record_failure(batch, which, evaluation.reasons.get(which, BAD_NUMBERS))
    reached = float(evaluation.fmaxes[which])
    record = record_end(
        batch.structure_at(batch.coordinates, which),
        (float(batch.initial_energies[which]), energy),
        n_steps=int(batch.n_steps[which]),
        fmax=reached,
        converged=reached < fmax,
    )
    return batch.items[which].index, record


def _record_failure(
    batch: InFlightBatch, which: int, reason: str
) -> tuple[int, RelaxationRecord]:
    """Record the failure of one structure, with where it last was well."""
    index = batch.items[which].index
    if batch.n_steps[which] == 0:
        return index, record_failure(reason)
    record = record_failure(
        reason,
        batch.structure_at(batch.previous, which),
        n_steps=int(batch.n_steps[which]),
        initial_energy=float(batch.initial_energies[which]),
    )
    return index, record
