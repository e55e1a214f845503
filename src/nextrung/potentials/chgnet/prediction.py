"""Predictions for any number of crystals, in batches that fit the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nextrung.potentials.chgnet.forward import predict_graphs
from nextrung.potentials.graphs.batching import split_by_cost
from nextrung.potentials.graphs.crystals import list_rows
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.graphs.validity import (
    check_cells,
    check_pairs,
    check_references,
)
from nextrung.potentials.interface import BatchPrediction
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from chgnet.model import CHGNet
    from numpy.typing import NDArray

    from nextrung.potentials.chgnet.forward import Outputs
    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.graphs.neighbors import Pairs

#: Letters of the properties: energies, forces, stresses, magnetic moments.
PROPERTIES = "efsm"
#: Cost of a batch that fits the caches of a CPU core.
_CPU_COST = 12_000
#: Cost of a batch that fills a GPU, and bytes of GPU memory per unit of cost.
_GPU_COST, _BYTES_PER_COST = 2_000_000, 20_000
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
    model: CHGNet, crystals: Crystals, properties: str, *, elements: frozenset[str]
) -> BatchPrediction:
    """Predict properties of any number of crystals.

    Parameters
    ----------
    model : CHGNet
        Model in evaluation mode.
    crystals : Crystals
        Crystals, valid or not.
    properties : str
        Letters of the wanted properties, ``e`` among them.
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
    buffer = _PredictionBuffer(model, crystals, properties)
    buffer.unreferenced |= check_references(crystals, elements)
    buffer.errors |= check_cells(crystals)
    valid = np.setdiff1d(np.arange(len(crystals)), list(buffer.errors))
    for start in range(0, len(valid), _WINDOW):
        _predict_window(buffer, valid[start : start + _WINDOW])
    return buffer.finish()


class _PredictionBuffer:
    """Predictions of all crystals, filled in batch by batch."""

    def __init__(self, model: CHGNet, crystals: Crystals, properties: str) -> None:
        n_crystals, n_sites = len(crystals), len(crystals.atomic_numbers)
        self.model = model
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
        self.energies[chosen] = outputs.energies.cpu().numpy()
        if outputs.forces is not None:
            self.forces[sites] = outputs.forces.cpu().numpy()
        if outputs.stresses is not None:
            self.stresses[chosen] = outputs.stresses.cpu().numpy()
        if outputs.magmoms is not None and self.magmoms is not None:
            self.magmoms[sites] = outputs.magmoms.cpu().numpy()

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
    crystals = buffer.crystals[window]
    device = next(buffer.model.parameters()).device
    pairs = find_pairs(crystals, device=device)
    reasons = check_pairs(crystals, pairs)
    buffer.errors.update({int(window[i]): reason for i, reason in reasons.items()})
    valid = np.setdiff1d(np.arange(len(window)), list(reasons))
    for batch in split_by_cost(pairs.costs[valid], _find_max_cost(device)):
        _predict_or_halve(buffer, window[valid[batch]], pairs[valid[batch]])


def _find_max_cost(device: torch.device) -> int:
    """Find the cost of a batch that fits the caches of a CPU, or a GPU's memory."""
    if device.type == "cpu":
        return _CPU_COST
    free, _ = torch.cuda.mem_get_info(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(_GPU_COST, (free + cached) // _BYTES_PER_COST + 1)


def _predict_or_halve(
    buffer: _PredictionBuffer, chosen: NDArray[np.int64], pairs: Pairs
) -> None:
    """Predict a batch, or each of its halves if it is out of memory."""
    parameter = next(buffer.model.parameters())
    try:
        graphs = build_graphs(
            buffer.crystals[chosen], parameter.device, parameter.dtype, pairs=pairs
        )
        outputs = predict_graphs(buffer.model, graphs, buffer.properties)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
    else:
        buffer.fill_in(chosen, outputs)
        return
    if len(chosen) == 1:
        reason = f"out of memory: {pairs.n_pairs[0]} bonds, {pairs.n_angles[0]} angles"
        buffer.errors[int(chosen[0])] = reason
        return
    for half in np.array_split(np.arange(len(chosen)), 2):
        _predict_or_halve(buffer, chosen[half], pairs[half])


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether memory ran out, on the device or on the host."""
    out_of_memory = isinstance(error, torch.OutOfMemoryError)
    return out_of_memory or "can't allocate memory" in str(error)
