from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

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
