"""Predictions for any number of crystals, in batches that fit the device."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from nextrung.potentials.batch_budget import find_max_cost
from nextrung.potentials.devices import try_within_memory
from nextrung.potentials.graphs.batching import split_by_cost
from nextrung.potentials.graphs.crystals import list_rows
from nextrung.potentials.graphs.transfers import download
from nextrung.potentials.graphs.validity import (
    check_cells,
    check_elements,
    check_references,
)
from nextrung.potentials.interface import BatchPrediction
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.interface import Backend, Inputs, Outputs

#: Letters of the properties: energies, forces, stresses, magnetic moments.
PROPERTIES = "efsm"
#: Just below 32 MiB, the largest block for which glibc raises its thresholds.
_LARGEST_BLOCK = 33_000_000
#: Crystals per neighbor search.
_WINDOW = 2048


def keep_freed_memory() -> None:
    """Make the C library keep freed memory for the next batch.

    By default glibc returns the memory of each batch to the system, and page faults
    take a sixth of the time. It keeps up to twice the size of the largest block it has
    unmapped; this function allocates and frees such a block, without writing to it.
    """
    torch.empty(_LARGEST_BLOCK, dtype=torch.uint8)


def _check_properties(properties: str) -> None:
    """Check the letters of properties."""
    if "e" not in properties or not set(properties) <= set(PROPERTIES):
        raise InputError(
            f"properties: expected 'e' and any of 'f', 's', 'm', got {properties!r}"
        )


@torch.inference_mode(mode=False)
def predict_crystals(
    backend: Backend, crystals: Crystals, properties: str, *, elements: frozenset[str]
) -> BatchPrediction:
    """Predict properties of any number of crystals.

    Parameters
    ----------
    backend : Backend
        Model.
    crystals : Crystals
        Crystals, valid or not.
    properties : str
        Letters of the wanted properties, ``e`` among them; those that the model does
        not predict are left out.
    elements : frozenset of str
        Elements that have an atomic reference energy.

    Returns
    -------
    BatchPrediction
        Properties in the order given; a crystal that cannot be predicted has a
        reason instead. Only energies need atomic references.

    Raises
    ------
    InputError
        If a letter of the properties is unknown.
    """
    _check_properties(properties)
    wanted = "".join(each for each in properties if each in backend.properties)
    buffer = _PredictionBuffer(backend, crystals, wanted)
    buffer.unreferenced |= check_references(crystals, elements)
    buffer.errors |= check_cells(crystals)
    buffer.errors |= check_elements(crystals, backend.known_elements)
    valid = np.setdiff1d(np.arange(len(crystals)), list(buffer.errors))
    for start in range(0, len(valid), _WINDOW):
        _predict_window(buffer, valid[start : start + _WINDOW])
    return buffer.finish()


def check_crystals(backend: Backend, crystals: Crystals) -> dict[int, str]:
    """Check cells, coordinates, elements and distances.

    Parameters
    ----------
    backend : Backend
        Model.
    crystals : Crystals
        Crystals.

    Returns
    -------
    dict of int to str
        Reason by the index of each crystal that cannot be predicted.
    """
    reasons = check_cells(crystals) | check_elements(crystals, backend.known_elements)
    valid = np.setdiff1d(np.arange(len(crystals)), list(reasons))
    inputs = backend.prepare(crystals[valid], torch.device("cpu"))
    found = backend.check(inputs)
    return reasons | {int(valid[index]): found[index] for index in found}


class _PredictionBuffer:
    """Predictions of all crystals, filled in batch by batch."""

    def __init__(self, backend: Backend, crystals: Crystals, properties: str) -> None:
        n_crystals, n_sites = len(crystals), len(crystals.atomic_numbers)
        self.backend = backend
        self.crystals = crystals
        self.properties = properties
        self.energies = np.full(n_crystals, np.nan)
        self.forces = np.full((n_sites, 3), np.nan)
        self.stresses = np.full((n_crystals, 3, 3), np.nan)
        self.magmoms = np.full(n_sites, np.nan) if "m" in properties else None
        self.errors: dict[int, str] = {}
        self.unreferenced: dict[int, str] = {}

    def fill_in(self, chosen: NDArray[np.int64], outputs: Outputs) -> None:
        """Copy the outputs of a batch to the rows of its crystals."""
        sites = list_rows(self.crystals.offsets, chosen)
        self.errors |= {int(chosen[i]): reason for i, reason in outputs.errors.items()}
        rows = {
            "energies": chosen,
            "stresses": chosen,
            "forces": sites,
            "magmoms": sites,
        }
        tensors = {name: getattr(outputs, name) for name in rows}
        wanted = {
            name: tensor for name, tensor in tensors.items() if tensor is not None
        }
        for name, values in zip(wanted, download(*wanted.values()), strict=True):
            getattr(self, name)[rows[name]] = values

    def finish(self) -> BatchPrediction:
        """Record non-finite predictions as errors; set all values of errors to NaN."""
        for index in np.flatnonzero(~self._is_finite()):
            self.errors.setdefault(int(index), "the prediction is not finite")
        self.energies[list(self.unreferenced)] = np.nan
        failed = np.array(list(self.errors), dtype=np.int64)
        sites = list_rows(self.crystals.offsets, failed)
        self.energies[failed], self.stresses[failed] = np.nan, np.nan
        self.forces[sites] = np.nan
        if self.magmoms is not None:
            self.magmoms[sites] = np.nan
        return BatchPrediction(
            energies=self.energies,
            forces=self.forces,
            stresses=self.stresses,
            magmoms=self.magmoms,
            errors=dict(sorted(self.errors.items())),
            unreferenced={
                index: reason
                for index, reason in self.unreferenced.items()
                if index not in self.errors
            },
        )

    def _is_finite(self) -> NDArray[np.bool_]:
        """Return which crystals have finite energies, forces and stresses."""
        finite: NDArray[np.bool_] = np.isfinite(self.energies)
        if "s" in self.properties:
            finite &= np.isfinite(self.stresses).all(axis=(1, 2))
        if "f" in self.properties:
            infinite = ~np.isfinite(self.forces).all(axis=1)
            finite[self.crystals.crystal_of_site[infinite]] = False
        return finite


def _predict_window(buffer: _PredictionBuffer, window: NDArray[np.int64]) -> None:
    """Search the neighbors of some crystals and predict these batch by batch."""
    backend = buffer.backend
    searched = try_within_memory(partial(_search, buffer, window))
    if searched is None:
        _split_window(buffer, window)
        return
    inputs, reasons = searched
    buffer.errors.update({int(window[i]): reason for i, reason in reasons.items()})
    valid = np.setdiff1d(np.arange(len(window)), list(reasons))
    for batch in split_by_cost(inputs.costs[valid], find_max_cost(backend)):
        _predict_or_halve(buffer, window[valid[batch]], inputs[valid[batch]])


def _search(
    buffer: _PredictionBuffer, window: NDArray[np.int64]
) -> tuple[Inputs, dict[int, str]]:
    """Search the neighbors of some crystals; list those that cannot be predicted."""
    backend = buffer.backend
    inputs = backend.prepare(buffer.crystals[window], backend.device)
    return inputs, backend.check(inputs)


def _split_window(buffer: _PredictionBuffer, window: NDArray[np.int64]) -> None:
    """Predict the halves of a window whose neighbor search is out of memory."""
    if len(window) == 1:
        crystal = int(window[0])
        n_atoms = buffer.crystals.n_atoms[crystal]
        reason = f"out of memory in the neighbor search: {n_atoms} atoms"
        buffer.errors[crystal] = reason
        return
    for half in np.array_split(window, 2):
        _predict_window(buffer, half)


def _predict_or_halve(
    buffer: _PredictionBuffer, chosen: NDArray[np.int64], inputs: Inputs
) -> None:
    """Predict a batch, or each of its halves if it is out of memory."""
    outputs = try_within_memory(
        partial(buffer.backend.compute, inputs, buffer.properties)
    )
    if outputs is not None:
        buffer.fill_in(chosen, outputs)
        return
    if len(chosen) == 1:
        crystal = int(chosen[0])
        n_atoms, cost = buffer.crystals.n_atoms[crystal], inputs.costs[0]
        buffer.errors[crystal] = f"out of memory: {n_atoms} atoms, cost {cost}"
        return
    for half in np.array_split(np.arange(len(chosen)), 2):
        _predict_or_halve(buffer, chosen[half], inputs[half])
