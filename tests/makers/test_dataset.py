from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_frames, read_materials, read_rejections
from nextrung.makers.dataset import DatasetMaker
from nextrung.schemas.dataset import DatasetSettings
from nextrung.schemas.labels.sources import AseSource

if TYPE_CHECKING:
    from pathlib import Path


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
