"""Frames of energies without forces, from every source of files."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from tests.adapters.sources import (
    test_ase,
    test_gpaw_documents,
    test_matpes,
    test_mptrj,
    test_task_documents,
)

from nextrung.adapters.curation.dataset import curate
from nextrung.adapters.curation.stored_dataset import store_dataset
from nextrung.adapters.sources.registry import read_source
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import DatasetSettings, SplitSettings
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import CurationSettings, Label, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ase import Atoms


def atoms() -> Atoms:
    bare = test_ase.salt()
    del bare.arrays["magmoms"]
    bare.calc = SinglePointCalculator(bare, energy=-6.5)
    return bare


def write_extxyz(folder: Path) -> dict[str, Any]:
    write(folder / "frames.xyz", atoms(), format="extxyz")
    path = str(folder / "frames.xyz")
    return {"kind": "ase", "paths": [path], "functional": "r2SCAN"}


def write_database(folder: Path) -> dict[str, Any]:
    with connect(folder / "frames.db") as database:
        database.write(atoms(), material_id="mp-2", data={"frame_id": "mp-2-7"})
    path = str(folder / "frames.db")
    return {"kind": "ase", "paths": [path], "functional": "r2SCAN"}


def write_json(folder: Path, kind: str, content: object) -> dict[str, Any]:
    (folder / "labels.json").write_text(json.dumps(content))
    return {"kind": kind, "paths": [str(folder / "labels.json")]}


def write_mptrj(folder: Path) -> dict[str, Any]:
    frame = test_mptrj.frame(stress=None)
    del frame["force"], frame["magmom"]
    return write_json(folder, "mptrj_json", {"mp-1": {"task-0-0": frame}})


def write_matpes(folder: Path) -> dict[str, Any]:
    document = test_matpes.document(stress=None)
    del document["forces"]
    return write_json(folder, "matpes", [document])


def write_tasks(folder: Path) -> dict[str, Any]:
    """An atomate2 static calculation of which the forces were not kept."""
    step = test_task_documents.step(stress=None, forces=None)
    calculation = test_task_documents.calculation(step)
    return write_json(folder, "task_documents", [test_task_documents.task(calculation)])


def write_gpaw(folder: Path) -> dict[str, Any]:
    settings = {"functional": "r2SCAN"}
    document = test_gpaw_documents.make_document("Si#0", settings=settings)
    for step in document["output"]["output"]["ionic_steps"]:
        del step["forces"], step["stress"]
    return write_json(folder, "gpaw_documents", [document])


def make_settings(source: dict[str, Any], *labels: Label) -> DatasetSettings:
    curation = CurationSettings.model_validate({"energy_scale": {"potentials": {}}})
    return DatasetSettings.model_validate(
        {
            "source": source,
            "curation": curation.model_copy(update={"required_labels": labels}),
            "split": SplitSettings(val=0, test=0),
        }
    )


SOURCES = [
    write_extxyz,
    write_database,
    write_mptrj,
    write_matpes,
    write_tasks,
    write_gpaw,
]


@pytest.mark.parametrize("write_source", SOURCES)
def test_frames_without_forces_are_read_from_every_source(
    write_source: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    settings = make_settings(write_source(tmp_path), Label.ENERGY)
    found = read_source(settings.source, lambda _done, _total, _text: None)
    runs = [run for run in found if not isinstance(run, Rejection)]

    frames = Frames.concatenate([run.frames for run in runs])

    assert np.isfinite(frames.energies).all()
    for labels in (frames.forces, frames.stresses, frames.magmoms):
        assert np.isnan(labels).all()


@pytest.mark.parametrize("write_source", SOURCES)
def test_a_data_set_counts_the_frames_of_each_label(
    write_source: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    settings = make_settings(write_source(tmp_path), Label.ENERGY)

    stored = store_dataset(curate(settings), settings)

    assert stored["n_frames"] == 1
    assert stored["n_frames_by_label"] == {
        "energy": 1,
        "forces": 0,
        "stress": 0,
        "magmoms": 0,
    }


def test_where_forces_are_required_the_error_says_how_to_take_energies_alone(
    tmp_path: Path,
) -> None:
    settings = make_settings(write_extxyz(tmp_path), Label.ENERGY, Label.FORCES)

    expected = "missing_label 1); required_labels are energy, forces: frames of "
    with pytest.raises(InputError, match=re.escape(expected)) as raised:
        curate(settings)

    assert "take curation.required_labels: [energy]" in str(raised.value)


def test_frames_without_energies_are_not_told_to_require_energies_alone(
    tmp_path: Path,
) -> None:
    bare = atoms()
    bare.calc = None
    write(tmp_path / "frames.xyz", bare, format="extxyz")
    source = {
        "kind": "ase",
        "paths": [str(tmp_path / "frames.xyz")],
        "functional": "r2SCAN",
    }

    with pytest.raises(InputError, match="missing_label 1") as raised:
        curate(make_settings(source, Label.ENERGY))

    assert "curation.required_labels" not in str(raised.value)
