from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_frames
from nextrung.makers.jobs.models import open_potential
from nextrung.schemas.evaluation import NEW_FORMULAS
from nextrung.schemas.frames import SPLITS


def test_errors_are_those_of_the_stored_model(documents: dict[str, Any]) -> None:
    frames = read_frames(artifact_path(documents["dataset"].frames)).split("test")
    potential = open_potential(documents["fine_tuning/source"])

    energies = [found.energy for found in potential.predict(frames.to_structures())]
    errors = (np.array(energies) - frames.energies) / frames.n_atoms

    metrics = documents["evaluation/source"].metrics["test"]
    assert metrics.energy_mae == pytest.approx(np.abs(errors).mean(), abs=1e-5)


def test_every_frame_of_the_splits_has_a_row(documents: dict[str, Any]) -> None:
    evaluation = documents["evaluation/scratch"]

    n_frames = sum(evaluation.metrics[split].n_frames for split in SPLITS)
    assert len(evaluation.rows.frame_id) == n_frames == documents["dataset"].n_frames


def test_formulas_that_training_lacks_are_scored_on_their_own(
    documents: dict[str, Any],
) -> None:
    rows = documents["evaluation/source"].rows
    known = {f for f, s in zip(rows.formula, rows.split, strict=True) if s == "train"}
    errors = [
        abs(rows.energy_per_atom[index] - rows.predicted_energy_per_atom[index])
        for index, split in enumerate(rows.split)
        if split == "test" and rows.formula[index] not in known
    ]

    found = documents["evaluation/source"].metrics.get(NEW_FORMULAS)
    assert (found.n_frames if found else 0) == len(errors)
    if found:
        assert found.energy_mae == pytest.approx(np.mean(errors))
