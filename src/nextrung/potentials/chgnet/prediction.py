"""Predictions for any number of crystals, in batches the device can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from pymatgen.core import Element

from nextrung.potentials.chgnet.forward import predict_graphs
from nextrung.potentials.graphs.crystals import list_rows
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.graphs.validity import find_cell_faults, find_pair_faults
from nextrung.potentials.interface import BatchPrediction
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chgnet.model import CHGNet
    from numpy.typing import NDArray

    from nextrung.potentials.chgnet.forward import Outputs
    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.graphs.neighbors import Pairs

#: Letters of the properties: energies, forces, stresses, magnetic moments.
PROPERTIES = "efsm"
#: Rows of a batch that the caches of a CPU core hold best.
_CPU_COST = 12_000
#: Rows that fill a GPU, and bytes that a row may take there.
_GPU_COST, _ROW_SIZE = 2_000_000, 20_000
#: Bytes of the largest block of which glibc takes notice, 32 MiB, less a margin.
_LARGEST_BLOCK = 33_000_000
#: Crystals whose neighbours are searched at once.
_WINDOW = 2048


def keep_freed_memory() -> None:
    """Make the C library keep freed memory for the next batch.

    glibc returns what batches free to the system, and page faults then cost a sixth
    of the time. It keeps twice the size of the largest block it has ever unmapped, up
    to the size of this one, which is never written to.
    """
    torch.empty(_LARGEST_BLOCK, dtype=torch.uint8)


def check_properties(properties: str) -> None:
    """Refuse letters that are no properties.

    Parameters
    ----------
    properties : str
        Letters of the wanted properties.

    Raises
    ------
    InputError
        If a letter is unknown, or ``e`` is not among them.
    """
    if "e" not in properties or not set(properties) <= set(PROPERTIES):
        raise InputError(
            f"properties: expected 'e' and any of 'f', 's', 'm', got {properties!r}"
        )


@torch.inference_mode(mode=False)
def predict_crystals(
    model: CHGNet, crystals: Crystals, properties: str, *, covered: frozenset[str]
) -> BatchPrediction:
    """Predict properties of crystals, whatever their number.

    Parameters
    ----------
    model : CHGNet
        Model in evaluation mode.
    crystals : Crystals
        Any crystals.
    properties : str
        Letters of the wanted properties, ``e`` among them.
    covered : frozenset of str
        Elements that have an atomic reference energy.

    Returns
    -------
    BatchPrediction
        Properties in the order given; a crystal that cannot be predicted has a
        reason instead.

    Raises
    ------
    InputError
        If the letters of the properties are unknown.
    """
    check_properties(properties)
    buffer = _PredictionBuffer(model, crystals, properties)
    buffer.errors.update(find_cell_faults(crystals))
    buffer.errors.update(_find_uncovered(crystals, covered, buffer.errors))
    sound = np.setdiff1d(np.arange(len(crystals)), list(buffer.errors))
    for start in range(0, len(sound), _WINDOW):
        _predict_window(buffer, sound[start : start + _WINDOW])
    return buffer.finish()


class _PredictionBuffer:
    """Predictions being filled in."""

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

    def fill_in(self, chosen: NDArray[np.int64], outputs: Outputs) -> None:
        """Copy the outputs of a batch to where they belong."""
        sites = list_rows(self.crystals.offsets, chosen)
        self.energies[chosen] = outputs.energies.cpu().numpy()
        if outputs.forces is not None:
            self.forces[sites] = outputs.forces.cpu().numpy()
        if outputs.stresses is not None:
            self.stresses[chosen] = outputs.stresses.cpu().numpy()
        if outputs.magmoms is not None and self.magmoms is not None:
            self.magmoms[sites] = outputs.magmoms.cpu().numpy()

    def finish(self) -> BatchPrediction:
        """Turn numbers that are not finite into errors, and all numbers of errors."""
        for index in np.flatnonzero(self._find_non_finite()):
            self.errors.setdefault(int(index), "the prediction is not finite")
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
        )

    def _find_non_finite(self) -> NDArray[np.bool_]:
        """Find crystals with a number asked for that is not finite."""
        finite: NDArray[np.bool_] = np.isfinite(self.energies)
        if "s" in self.properties:
            finite &= np.isfinite(self.stresses).all(axis=(1, 2))
        if "f" in self.properties:
            infinite = ~np.isfinite(self.forces).all(axis=1)
            finite[self.crystals.crystal_of_site[infinite]] = False
        return np.logical_not(finite)


def _find_uncovered(
    crystals: Crystals, covered: frozenset[str], faults: dict[int, str]
) -> dict[int, str]:
    """Find crystals that hold an element without an atomic reference energy."""
    numbers = {Element(symbol).Z for symbol in covered}
    missing = ~np.isin(crystals.atomic_numbers, list(numbers))
    lacking: dict[int, set[str]] = {}
    for site in np.flatnonzero(missing):
        index = int(crystals.crystal_of_site[site])
        if index not in faults:
            symbol = Element.from_Z(int(crystals.atomic_numbers[site])).symbol
            lacking.setdefault(index, set()).add(symbol)
    return {
        index: f"no atomic reference energy for {', '.join(sorted(symbols))}"
        for index, symbols in lacking.items()
    }


def _predict_window(buffer: _PredictionBuffer, window: NDArray[np.int64]) -> None:
    """Search the neighbours of some crystals and predict them batch by batch."""
    crystals = buffer.crystals[window]
    device = next(buffer.model.parameters()).device
    pairs = find_pairs(crystals, device=device)
    faults = find_pair_faults(crystals, pairs)
    buffer.errors.update({int(window[i]): reason for i, reason in faults.items()})
    sound = np.setdiff1d(np.arange(len(window)), list(faults))
    for batch in _cut(sound, pairs.costs[sound], _find_cost(device)):
        _predict_or_halve(buffer, window[batch], pairs[batch])


def _find_cost(device: torch.device) -> int:
    """Find the cost of the batches that a device computes best."""
    if device.type == "cpu":
        return _CPU_COST
    free, _ = torch.cuda.mem_get_info(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(_GPU_COST, (free + cached) // _ROW_SIZE + 1)


def _cut(
    rows: NDArray[np.int64], costs: NDArray[np.int64], limit: int
) -> Iterator[NDArray[np.int64]]:
    """Cut rows into runs that cost about as much as the limit, one row at least."""
    batch = (np.cumsum(costs) - costs) // limit
    edges = np.flatnonzero(np.diff(batch)) + 1
    return (run for run in np.split(rows, edges) if len(run))


def _predict_or_halve(
    buffer: _PredictionBuffer, chosen: NDArray[np.int64], pairs: Pairs
) -> None:
    """Predict a batch; where memory does not suffice, each of its halves."""
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
    """Tell whether memory ran out, on the device or on the host."""
    out_of_memory = isinstance(error, torch.OutOfMemoryError)
    return out_of_memory or "can't allocate memory" in str(error)
