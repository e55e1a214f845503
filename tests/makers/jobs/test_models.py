from __future__ import annotations

from typing import Any

import pytest
import torch

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.makers.jobs import models
from nextrung.makers.jobs.models import (
    count_relaxation_processes,
    open_frames,
    open_potential,
    relax_with,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings
from nextrung.settings import MachineSettings


def test_frames_are_those_of_the_data_set(documents: dict[str, Any]) -> None:
    assert len(open_frames(documents["dataset"])) == documents["dataset"].n_frames


def test_damaged_checkpoint_is_never_loaded(documents: dict[str, Any]) -> None:
    made = documents["fine_tuning/scratch"]
    wrong = made.checkpoint.model_copy(update={"sha256": "0" * 64})

    with pytest.raises(InputError, match=artifact_path(made.checkpoint).name):
        open_potential(made.model_copy(update={"checkpoint": wrong}))


def test_each_relaxation_is_told_as_it_ends(documents: dict[str, Any]) -> None:
    structures = open_frames(documents["dataset"]).to_structures()[:3]
    told: dict[int, RelaxationRecord] = {}

    records = relax_with(
        documents["fine_tuning/source"].checkpoint,
        structures,
        RelaxationSettings(max_steps=2),
        on_record=told.__setitem__,
    )

    assert [told[index] for index in range(3)] == records


@pytest.mark.parametrize(
    ("device", "n_structures", "n_processes"),
    [
        ("cpu", 100, 1),
        ("cpu", 1000, 4),
        ("cpu", 10_000, 8),
        ("cuda", 1000, 1),
        ("cuda", 4000, 2),
        ("cuda", 30_000, 3),
    ],
)
def test_large_shards_are_relaxed_by_more_processes_of_the_device(
    device: str, n_structures: int, n_processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "choose_device", torch.device)
    machine = MachineSettings(device=device, n_processes=8, processes_per_gpu=3)

    assert count_relaxation_processes(machine, n_structures) == n_processes
