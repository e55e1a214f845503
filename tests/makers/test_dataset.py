from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jobflow import run_locally
from pymatgen.core import Lattice, Structure

from nextrung.adapters.curation.frames_file import store_frames_file
from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import (
    read_frames,
    read_materials,
    read_rejections,
    write_frames,
)
from nextrung.makers.dataset import DatasetMaker, FramesFileMaker
from nextrung.schemas.dataset import DatasetDoc, DatasetSettings
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import AseSource

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from jobflow import JobStore


def test_counts_of_the_document_are_those_of_its_files(
    documents: dict[str, Any],
) -> None:
    dataset = documents["dataset"]

    frames = read_frames(artifact_path(dataset.frames))
    materials = read_materials(artifact_path(dataset.materials))
    rejections = read_rejections(artifact_path(dataset.rejections))

    assert dataset.n_frames == len(frames) == sum(dataset.n_frames_by_split.values())
    assert dataset.n_materials == len(materials) == len(set(frames.material_ids))
    assert sum(dataset.n_rejected.values()) == len(rejections)


def test_digest_changes_with_the_files(tmp_path: Path) -> None:
    file = tmp_path / "frames.extxyz"
    source = AseSource(paths=(str(file),), functional="r2SCAN")
    maker = DatasetMaker(settings=DatasetSettings(source=source))
    digests = []
    for content in ("a", "a", "b"):
        file.write_text(content)
        digests.append(maker.digest_files())

    assert digests[0] == digests[1] != digests[2]


def test_a_frames_file_is_a_data_set_with_its_own_splits(
    documents: dict[str, Any], job_store: JobStore
) -> None:
    given = documents["dataset"]
    job = FramesFileMaker(path=str(artifact_path(given.frames))).make()

    run_locally(job, store=job_store, log=False, raise_immediately=True)

    taken = DatasetDoc.model_validate(job_store.get_output(job.uuid))
    assert taken.frames == given.frames
    assert taken.settings == given.settings
    assert taken.labels == given.labels
    assert taken.n_frames_by_split == given.n_frames_by_split
    assert taken.n_materials_by_split == given.n_materials_by_split
    assert taken.element_counts == given.element_counts
    assert read_rejections(artifact_path(taken.rejections)) == []


def test_a_frames_file_of_unknown_origin_is_a_data_set_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    iron = Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]])
    strained = iron.copy().scale_lattice(20)
    frames = Frames.from_structures([iron, strained, iron], ["b", "a", "c"])
    named = replace(frames, material_ids=np.array(["y", "y", "x"]))
    write_frames(named, tmp_path / "frames.parquet")

    stored = store_frames_file(tmp_path / "frames.parquet")

    assert stored["settings"] is None
    assert (stored["n_frames"], stored["n_materials"]) == (3, 2)
    materials = read_materials(artifact_path(stored["materials"]))
    assert materials.initial.material_ids.tolist() == ["y", "x"]
    assert materials.initial.lattices[0, 0, 0] == 2.8
    assert np.isnan(materials.energies).all()
