from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from nextrung.schemas.base import InputError
from nextrung.settings import MachineSettings, choose_device, count_cores


def test_machine_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", "/scratch/run")
    monkeypatch.setenv("NEXTRUNG_N_PROCESSES", "3")

    machine = MachineSettings()

    assert machine.n_processes == 3
    assert machine.artifacts == Path("/scratch/run/artifacts")
    assert machine.work == Path("/scratch/run/work")
    assert machine.downloads == Path("/scratch/run/downloads")


def test_a_job_has_the_cores_its_queue_gives_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NEXTRUNG_N_PROCESSES", raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    assert MachineSettings().n_processes == len(os.sched_getaffinity(0))

    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert MachineSettings().n_processes == count_cores() == 3

    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert count_cores() == os.cpu_count()


def test_machine_needs_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTRUNG_N_PROCESSES", "0")

    with pytest.raises(ValidationError, match="n_processes"):
        MachineSettings()


@pytest.mark.parametrize("has_cuda", [True, False])
def test_auto_prefers_cuda(monkeypatch: pytest.MonkeyPatch, has_cuda: bool) -> None:  # noqa: FBT001
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)

    assert choose_device("auto").type == ("cuda" if has_cuda else "cpu")


def test_named_device_is_taken() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["nonsense", "cuda:x", "", "meta"])
def test_what_torch_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected auto, cpu, cuda or cuda:N, got"):
        choose_device(name)


@pytest.mark.parametrize(("name", "n_devices"), [("cuda", 0), ("cuda:1", 1)])
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, n_devices: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)

    with pytest.raises(InputError, match=f"with {n_devices} cuda devices"):
        choose_device(name)
