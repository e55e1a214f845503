from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_frames
from nextrung.makers.jobs.models import open_potential


def test_errors_are_those_of_the_stored_model(documents: dict[str, Any]) -> None:
    frames = read_frames(artifact_path(documents["dataset"].frames)).split("test")
    potential = open_potential(documents["fine_tuning/source"])

    energies = [found.energy for found in potential.predict(frames.to_structures())]
    errors = (np.array(energies) - frames.energies) / frames.n_atoms

    metrics = documents["evaluation/source"].metrics["test"]
    assert metrics.energy_mae == pytest.approx(np.abs(errors).mean(), abs=1e-5)


def test_every_frame_of_the_splits_has_a_row(documents: dict[str, Any]) -> None:
    evaluation = documents["evaluation/scratch"]

    n_frames = sum(found.n_frames for found in evaluation.metrics.values())
    assert len(evaluation.rows.frame_id) == n_frames == documents["dataset"].n_frames
