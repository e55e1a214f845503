from __future__ import annotations

from typing import Any

import pytest

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.makers.jobs.models import open_frames, open_potential, relax_with
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings


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
