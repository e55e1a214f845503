"""Errors, memory shares and precision of :mod:`nextrung.potentials.devices`."""

from __future__ import annotations

import weakref

import pytest
import torch
from ase.calculators.emt import EMT
from pymatgen.core import Lattice, Structure

from nextrung.potentials import devices, registry
from nextrung.potentials.devices import (
    find_available_memory,
    is_device_failure,
    is_out_of_memory,
    release_cached_memory,
    share_memory,
    try_within_memory,
    use_full_precision,
)
from nextrung.potentials.registry import load_potential, load_shared
from nextrung.potentials.relaxation.ase import relax_with_ase
from nextrung.schemas.relaxation import RelaxationSettings

FAILURES = [
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"),
    type("AcceleratorError", (RuntimeError,), {})("unspecified launch failure"),
]
FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
]
OTHERS = [RuntimeError("shape mismatch"), ValueError("CUDA error: of another kind")]


def test_failed_devices_are_told_from_full_ones_and_from_other_errors() -> None:
    assert [is_device_failure(error) for error in FAILURES] == [True] * len(FAILURES)
    assert [is_out_of_memory(error) for error in FULL] == [True] * len(FULL)
    for error in [*FULL, *OTHERS]:
        assert not is_device_failure(error)
    for error in [*FAILURES, *OTHERS]:
        assert not is_out_of_memory(error)


def test_the_failure_is_found_among_the_causes_of_another_error() -> None:
    def compute() -> None:
        try:
            raise FAILURES[0]
        except RuntimeError as error:
            raise ValueError("no forces") from error

    with pytest.raises(ValueError, match="no forces") as raised:
        compute()

    assert is_device_failure(raised.value)


def test_a_computation_that_is_out_of_memory_keeps_no_tensor() -> None:
    tensors = []

    def compute() -> None:
        tensor = torch.ones(3)
        tensors.append(weakref.ref(tensor))
        raise FULL[0]

    assert try_within_memory(lambda: 3) == 3
    assert try_within_memory(compute) is None
    FULL[0].__traceback__ = None
    assert tensors[0]() is None


def test_other_errors_are_not_taken_for_missing_memory() -> None:
    def compute() -> None:
        raise OTHERS[0]

    with pytest.raises(RuntimeError, match="shape mismatch"):
        try_within_memory(compute)


def test_cached_memory_is_released_only_where_there_is_a_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: released.append(True))
    release_cached_memory()
    assert released == []

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    release_cached_memory()
    assert released == [True]


def test_available_memory_is_within_the_share_of_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fractions: list[tuple[float, int]] = []
    monkeypatch.setattr(devices, "_SHARES", {})
    monkeypatch.setattr(
        torch.cuda,
        "set_per_process_memory_fraction",
        lambda *arguments: fractions.append(arguments),
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (600, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 150)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 50)
    gpu = torch.device("cuda:0")

    assert find_available_memory(gpu) == 600 + 100
    share_memory(torch.device("cuda"), 1)
    share_memory(torch.device("cpu"), 4)
    assert fractions == []
    share_memory(torch.device("cuda"), 4)
    assert fractions == [(0.25, 0)]
    assert find_available_memory(gpu) == 250 - 50


def test_a_potential_that_shares_a_device_is_limited_before_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(registry, "choose_device", torch.device)
    monkeypatch.setattr(registry, "share_memory", lambda *shared: calls.append(shared))
    monkeypatch.setattr(registry, "load_potential", lambda *name: calls.append(name))

    load_shared("chgnet-r2scan", "cuda:1", 3)

    shared = (torch.device("cuda:1"), 3)
    assert calls == [shared, ("chgnet-r2scan", "cuda:1")]


def test_products_are_in_full_precision_whatever_was_set_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    torch.set_float32_matmul_precision("high")

    load_potential("chgnet-r2scan", "cpu")

    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
    use_full_precision()
    assert not torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction


def test_no_row_hides_the_failure_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calculators may raise anything, which is an error of one structure otherwise."""
    structure = Structure(Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    potential = load_potential("ase:ase.calculators.emt:EMT", "cpu")

    def fail(*_: object, **__: object) -> None:
        raise FAILURES[0]

    monkeypatch.setattr(potential.backend, "_compute_one", fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        potential.predict([structure])
    monkeypatch.setattr(EMT, "calculate", fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        list(relax_with_ase(potential, [(0, structure)], RelaxationSettings()))
