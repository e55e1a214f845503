"""Cost of the batches that fit a device: caches of a CPU, or memory of a GPU."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from nextrung.potentials.devices import find_available_memory, try_within_memory
from nextrung.potentials.graphs.crystals import Crystals

if TYPE_CHECKING:
    from nextrung.potentials.interface import Backend, BatchLimits

#: Fraction of the available memory that a batch is planned to fill.
_FILLED: Final = 0.8
#: Crystals of the probe. Rock salts with few and with many angles per bond: lattice
#: constants in Å of NaCl and of MgO, whatever the elements.
_PROBE_CONSTANTS: Final = (5.64, 4.21)
_N_PROBES: Final = 16
_MEASURED: Final[WeakKeyDictionary[Backend, float]] = WeakKeyDictionary()


def find_max_cost(backend: Backend) -> int:
    """Find the cost of a batch that a prediction is split into.

    Parameters
    ----------
    backend : Backend
        Model.

    Returns
    -------
    int
        That of the model's limits; on a GPU at most what the available memory holds.
    """
    device, limits = backend.device, backend.limits
    max_cost = limits.prediction[device.type]
    if device.type == "cuda":
        max_cost = min(max_cost, _fit_memory(backend))
    return int(max_cost)


def limit_relaxation(backend: Backend) -> BatchLimits:
    """Limit the cost of a relaxation's batch to what the device holds.

    Parameters
    ----------
    backend : Backend
        Model.

    Returns
    -------
    BatchLimits
        Limits of the model; on a GPU, that of a relaxation is at most what the
        available memory holds.
    """
    device, limits = backend.device, backend.limits
    if device.type != "cuda":
        return limits
    held = min(limits.relaxation[device.type], _fit_memory(backend))
    return replace(limits, relaxation={**limits.relaxation, device.type: held})


def _fit_memory(backend: Backend) -> int:
    """Compute the cost of a batch that the available memory of a GPU holds."""
    available = find_available_memory(backend.device)
    return max(1, int(_FILLED * available / measure_bytes_per_cost(backend)))


def measure_bytes_per_cost(backend: Backend) -> float:
    """Measure the memory that a prediction takes on a GPU, once per model.

    Parameters
    ----------
    backend : Backend
        Model on a CUDA device.

    Returns
    -------
    float
        Bytes per unit of cost, the larger of those of two kinds of crystals; that of
        the model's limits where the probe does not fit the memory.
    """
    if backend not in _MEASURED:
        measured = [
            try_within_memory(partial(_probe, backend, constant))
            for constant in _PROBE_CONSTANTS
        ]
        known = [each for each in measured if each]
        complete = len(known) == len(measured)
        _MEASURED[backend] = max(known) if complete else backend.limits.bytes_per_cost
    return _MEASURED[backend]


def _probe(backend: Backend, constant: float) -> float:
    """Predict rock salts; return the bytes per unit of cost at the peak."""
    elements = sorted(backend.known_elements)
    salt = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(constant),
        [elements[0], elements[-1]],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    salts = Crystals.of([salt] * _N_PROBES)
    inputs = backend.prepare(salts, backend.device)
    wanted = "".join(each for each in "efs" if each in backend.properties)
    torch.cuda.reset_peak_memory_stats(backend.device)
    before = torch.cuda.memory_allocated(backend.device)
    backend.compute(inputs, wanted)
    peak = torch.cuda.max_memory_allocated(backend.device)
    return float((peak - before) / np.sum(inputs.costs))
