from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from tests.potentials.networks import backend_of

from nextrung.potentials import batch_budget
from nextrung.potentials.batch_budget import (
    find_max_cost,
    limit_relaxation,
    measure_bytes_per_cost,
)
from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.registry import load_potential

if TYPE_CHECKING:
    from nextrung.potentials.graphs.neighbors import NeighborLists
    from nextrung.potentials.interface import Outputs

GPU = torch.device("cuda:0")


class Memory:
    """The allocator of a GPU on which a unit of cost takes 5,000 bytes."""

    def __init__(self) -> None:
        self.free = 10**9
        self.allocated = 1_000
        self.peak = 0
        self.n_predictions = 0


class GpuBackend(ChgnetBackend):
    """A network that computes on the CPU and says that it is on a GPU."""

    memory: Memory

    @property
    def device(self) -> torch.device:
        return GPU

    def prepare(self, crystals, device) -> NeighborLists:  # type: ignore[no-untyped-def] # noqa: ANN001
        assert device == GPU
        return super().prepare(crystals, torch.device("cpu"))

    def compute(self, inputs, properties: str) -> Outputs:  # type: ignore[no-untyped-def] # noqa: ANN001
        self.memory.n_predictions += 1
        needed = 5_000 * int(inputs.costs.sum())
        if needed > self.memory.free:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.memory.peak = self.memory.allocated + needed
        return super().compute(inputs, properties)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> GpuBackend:
    """A network on a GPU with 1 GB of free memory."""
    memory = Memory()
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda _: setattr(memory, "peak", 0)
    )
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: memory.allocated)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: memory.allocated)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: memory.peak)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (memory.free, 2 * 10**9))
    monkeypatch.setattr(ChgnetBackend, "compute", lambda *_: None)
    backend = GpuBackend(backend_of(load_potential("chgnet-r2scan", "cpu")).module)
    backend.memory = memory
    return backend


def test_the_memory_of_a_prediction_is_measured_once(gpu: GpuBackend) -> None:
    assert measure_bytes_per_cost(gpu) == pytest.approx(5_000)
    assert measure_bytes_per_cost(gpu) == pytest.approx(5_000)
    assert gpu.memory.n_predictions == len(batch_budget._PROBE_CONSTANTS)


def test_batches_fill_four_fifths_of_the_free_memory(gpu: GpuBackend) -> None:
    expected = int(0.8 * 10**9 / 5_000)

    assert find_max_cost(gpu) == expected
    assert limit_relaxation(gpu).relaxation["cuda"] == expected

    gpu.memory.free //= 4
    assert find_max_cost(gpu) == expected // 4


def test_batches_stay_within_the_limits_of_the_model(gpu: GpuBackend) -> None:
    limits = {"cpu": 1.0, "cuda": 77.0}
    gpu.limits = replace(gpu.limits, prediction=limits, relaxation=limits)

    assert find_max_cost(gpu) == 77
    assert limit_relaxation(gpu).relaxation == limits


def test_without_room_for_the_probe_the_models_own_number_counts(
    gpu: GpuBackend,
) -> None:
    gpu.memory.free = 10**6

    assert measure_bytes_per_cost(gpu) == gpu.limits.bytes_per_cost
    assert find_max_cost(gpu) == int(0.8 * 10**6 / gpu.limits.bytes_per_cost)


def test_batches_on_a_cpu_fit_its_caches() -> None:
    backend = backend_of(load_potential("chgnet-r2scan", "cpu"))

    assert find_max_cost(backend) == backend.limits.prediction["cpu"]
    assert limit_relaxation(backend) is backend.limits
