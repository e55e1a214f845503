"""Relaxation engine ``batched``: in-flight batching of many structures.

FIRE and the cell filter run on the host, in numpy, for every device: about 2 ms per
step of 256 structures of 30 atoms, while other processes use the GPU. Tensors would
have other bits: numpy's products of matrices round once per product and sum, those of
torch twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from ase import units

from nextrung.potentials.graphs.skin import NeighborSkin
from nextrung.potentials.relaxation.autobatcher import InFlightAutoBatcher
from nextrung.potentials.relaxation.checks import (
    BAD_NUMBERS,
    describe_cells,
    record_failure,
)
from nextrung.potentials.relaxation.fire import sum_components
from nextrung.potentials.relaxation.frechet_cell import generalise_forces
from nextrung.potentials.relaxation.restart import Restarts
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.interface import BatchPrediction, Relaxable
    from nextrung.potentials.relaxation.in_flight_batch import InFlightBatch
    from nextrung.schemas.relaxation import RelaxationSettings

#: Magnitude from which energies, forces and stresses count as infinite.
_MAX_VALUE: Final = 1e30


def relax_batched(
    potential: Relaxable,
    structures: Iterable[tuple[int, Structure]],
    settings: RelaxationSettings,
    *,
    max_batch_cost: float | None = None,
    restarts: Restarts | None = None,
) -> Generator[tuple[int, RelaxationRecord]]:
    """Relax structures in batches whose finished structures are replaced.

    Parameters
    ----------
    potential : Relaxable
        Potential.
    structures : iterable of (int, Structure)
        Indexed structures, read when the batch has room.
    settings : RelaxationSettings
        Settings of the relaxation.
    max_batch_cost : float, optional
        Estimated cost of a batch above which no structure is added to it; by default
        that of the potential on its device.
    restarts : Restarts, optional
        Restart points, which are saved at intervals and when the relaxation is stopped.

    Yields
    ------
    tuple of (int, RelaxationRecord)
        Index and record of each structure, as it finishes.
    """
    if max_batch_cost is None:
        max_batch_cost = potential.limits.relaxation[potential.device.type]
    restarts = restarts or Restarts()
    autobatcher = InFlightAutoBatcher(
        structures,
        settings,
        estimate_costs=potential.estimate_costs,
        restarts=restarts.points,
    )
    batch, skin = autobatcher.resume(max_batch_cost), NeighborSkin()
    try:
        while len(batch) or autobatcher:
            if restarts.is_due:
                restarts.update(batch.restart_points())
            cost = _sum_costs(potential, batch)
            batch = batch.join(autobatcher.fill(max_batch_cost - cost))
            yield from autobatcher.pop_rejected()
            batch, failures = _remove_overstrained(batch)
            yield from failures
            batch, evaluation = _evaluate_step(potential, batch, settings, skin=skin)
            finished = _find_finished(batch, evaluation, settings)
            for position in np.flatnonzero(finished).tolist():
                yield _record(batch, evaluation, position, fmax=settings.fmax)
            rows = np.repeat(~finished, batch.coordinates.n_rows)
            batch = batch.keep(~finished).step(evaluation.forces[rows])
    finally:
        restarts.update(batch.restart_points())


def _evaluate_step(
    potential: Relaxable,
    batch: InFlightBatch,
    settings: RelaxationSettings,
    *,
    skin: NeighborSkin,
) -> tuple[InFlightBatch, _Evaluation]:
    """Evaluate a batch, and set the initial energies of new structures."""
    evaluation = _evaluate(potential, batch, settings, skin=skin)
    initial_energies = np.where(
        batch.n_steps == 0, evaluation.energies, batch.initial_energies
    )
    return replace(batch, initial_energies=initial_energies), evaluation


def _find_finished(
    batch: InFlightBatch, evaluation: _Evaluation, settings: RelaxationSettings
) -> NDArray[np.bool_]:
    """Find the structures that have failed, converged or no steps left."""
    finished = np.isnan(evaluation.fmaxes) | (evaluation.fmaxes < settings.fmax)
    finished |= batch.n_steps >= settings.max_steps
    return finished


def _sum_costs(potential: Relaxable, batch: InFlightBatch) -> float:
    """Estimate the cost of one prediction of a batch."""
    coordinates = batch.coordinates
    costs = potential.estimate_costs(coordinates.lattices, coordinates.n_atoms)
    return float(costs.sum())


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """Energies and generalised forces of a batch; NaN and 0 where they failed.

    Where only the energy is missing, ``errors`` has the reason and ``fmaxes`` a number.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    fmaxes: NDArray[np.float64]
    errors: dict[int, str]


def _remove_overstrained(
    batch: InFlightBatch,
) -> tuple[InFlightBatch, list[tuple[int, RelaxationRecord]]]:
    """Remove structures whose cell has collapsed or expanded beyond the limits."""
    coordinates = batch.coordinates
    reasons = describe_cells(
        coordinates.lattices, coordinates.n_atoms, coordinates.deformations
    )
    failures = [
        _record_failure(batch, position, reason)
        for position, reason in enumerate(reasons)
        if reason is not None
    ]
    if not failures:
        return batch, failures
    return batch.keep(np.array([reason is None for reason in reasons])), failures


def _evaluate(
    potential: Relaxable,
    batch: InFlightBatch,
    settings: RelaxationSettings,
    *,
    skin: NeighborSkin,
) -> _Evaluation:
    """Predict a batch and compute its generalised forces."""
    if not len(batch):
        return _Evaluation(np.zeros(0), np.zeros((0, 3)), np.zeros(0), {})
    coordinates = batch.coordinates
    keys = np.array([item.index for item in batch.items])
    prediction = potential.predict_batch(skin.track(batch.crystals, keys), "efs")
    if "s" not in potential.properties:  # the cell is fixed
        prediction = replace(prediction, stresses=np.zeros_like(prediction.stresses))
    failed = _find_failed(prediction, coordinates.n_atoms)
    forces = np.array(prediction.forces, dtype=np.float64)
    forces[np.repeat(failed, coordinates.n_atoms)] = 0
    stresses = np.array(prediction.stresses, dtype=np.float64) * units.GPa
    stresses[failed] = 0
    _symmetrise(batch, forces, stresses)
    rows = generalise_forces(coordinates, forces, stresses, degrees=settings.cell)
    starts = np.cumsum(coordinates.n_rows) - coordinates.n_rows
    norms = np.sqrt(sum_components(rows**2))
    return _Evaluation(
        energies=np.where(failed, np.nan, prediction.energies),
        forces=rows,
        fmaxes=np.where(failed, np.nan, np.maximum.reduceat(norms, starts)),
        errors=prediction.errors | prediction.unreferenced,
    )


def _find_failed(
    prediction: BatchPrediction, n_atoms: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Find the crystals with a missing, non-finite or far too large value.

    The energy of a crystal without atomic references is not needed to relax it.
    """
    starts = np.cumsum(n_atoms) - n_atoms
    valid_sites = (np.abs(prediction.forces) < _MAX_VALUE).all(axis=1)
    valid = np.logical_and.reduceat(valid_sites, starts)
    valid &= (np.abs(prediction.stresses) < _MAX_VALUE).all(axis=(1, 2))
    valid_energies = np.abs(prediction.energies) < _MAX_VALUE
    valid_energies[list(prediction.unreferenced)] = True
    valid &= valid_energies
    valid[list(prediction.errors)] = False
    failed: NDArray[np.bool_] = ~valid
    return failed


def _symmetrise(
    batch: InFlightBatch, forces: NDArray[np.float64], stresses: NDArray[np.float64]
) -> None:
    """Average forces and stresses, in place, over the symmetry to keep."""
    offsets = batch.coordinates.offsets
    for position, item in enumerate(batch.items):
        if item.symmetry is not None:
            sites = slice(offsets[position], offsets[position + 1])
            lattice = batch.coordinates.lattices[position]
            forces[sites] = item.symmetry.average_forces(forces[sites], lattice)
            stresses[position] = item.symmetry.average_stress(
                stresses[position], lattice
            )


def _record(
    batch: InFlightBatch, evaluation: _Evaluation, position: int, *, fmax: float
) -> tuple[int, RelaxationRecord]:
    """Build the record of one finished structure."""
    reached = float(evaluation.fmaxes[position])
    if np.isnan(reached):
        reason = evaluation.errors.get(position, BAD_NUMBERS)
        return _record_failure(batch, position, reason)
    record = RelaxationRecord(
        status=RelaxationStatus("converged" if reached < fmax else "max_steps"),
        energy=_as_optional(evaluation.energies[position]),
        initial_energy=_as_optional(batch.initial_energies[position]),
        structure=batch.structure_at(batch.coordinates, position),
        n_steps=int(batch.n_steps[position]),
        fmax=reached,
        error=evaluation.errors.get(position),
    )
    return batch.items[position].index, record


def _record_failure(
    batch: InFlightBatch, position: int, reason: str
) -> tuple[int, RelaxationRecord]:
    """Build the record of one failed structure, with its last valid coordinates."""
    index = batch.items[position].index
    if batch.n_steps[position] == 0:
        return index, record_failure(reason)
    record = record_failure(
        reason,
        batch.structure_at(batch.previous, position),
        n_steps=int(batch.n_steps[position]),
        initial_energy=_as_optional(batch.initial_energies[position]),
    )
    return index, record


def _as_optional(energy: float) -> float | None:
    """Convert an energy to a float, and NaN to None."""
    return None if np.isnan(energy) else float(energy)
