from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.compute.curation.reference_duplicates import find_naively

from nextrung.adapters.curation import duplicates
from nextrung.adapters.curation.duplicates import DuplicateSearch
from nextrung.adapters.files.frame_stream import FrameBuffer
from nextrung.adapters.sources.registry import read_labels
from nextrung.schemas.labels.curation import MPTRJ_TOLERANCES
from nextrung.schemas.labels.sources import AseSource, TaskDocumentsSource, VaspSource

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.sources import Source


def name_materials(frames: Frames, names: NDArray[np.str_]) -> Frames:
    return replace(frames, material_ids=names)


def search(
    parts: list[Frames], folder: Path, split_across_parts: set[str]
) -> DuplicateSearch:
    """Search for duplicates in a buffer of these parts."""
    path = folder / "accepted.arrow"
    with FrameBuffer(path) as spool:
        for part in parts:
            spool.write(part)
    with DuplicateSearch(path, MPTRJ_TOLERANCES, split_across_parts) as found:
        rejected = [rejection for part in found.find_duplicates() for rejection in part]
    n_kept = sum(int(kept.sum()) for kept in found.kept)
    assert n_kept + len(rejected) == sum(map(len, parts))
    return found


def name_kept(parts: list[Frames], found: DuplicateSearch) -> list[str]:
    return [
        name
        for part, kept in zip(parts, found.kept, strict=True)
        for name in part.frame_ids[kept].tolist()
    ]


def choose_naively(frames: Frames) -> list[str]:
    """List the frames of every material that the authors' code keeps."""
    kept = []
    for material in dict.fromkeys(frames.material_ids.tolist()):
        chosen = frames[frames.material_ids == material]
        kept += chosen.frame_ids[find_naively(chosen)].tolist()
    return kept


REAL: dict[str, Source] = {
    "oxides": VaspSource(paths=("$NEXTRUNG_DATA/r2scan-tm-oxides/R2SCAN",)),
    "fluorides": VaspSource(paths=("$NEXTRUNG_DATA/r2scan-tm-fluorides/R2SCAN",)),
    "mptrj": AseSource(
        paths=("$NEXTRUNG_DATA/mptrj-sample/10_thin_mp_traj_systems.db",),
        functional="PBE",
        material_id_key="mp_id",
        frame_id_key="uid",
    ),
    "statics": TaskDocumentsSource(
        paths=("$NEXTRUNG_DATA/mp-task-documents/tasks_Li_Fe_V.json.gz",),
        material_id_key="formula_pretty",
    ),
}


@pytest.fixture
def data(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTRUNG_DATA", str(real_data))


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    "name",
    ["oxides", pytest.param("fluorides", marks=pytest.mark.slow), "mptrj", "statics"],
)
def test_real_samples_keep_the_same_frames_as_the_authors_code(
    name: str, tmp_path: Path
) -> None:
    frames = read_labels(REAL[name]).frames

    found = search([frames], tmp_path, set())

    assert sorted(name_kept([frames], found)) == sorted(choose_naively(frames))


@pytest.fixture(scope="module")
def relaxation(real_data: Path) -> Frames:
    """185 frames of As2SO6: relaxations of 86, 54 and fewer steps, many alike."""
    path = real_data / "mp-task-documents" / "test_As2SO6_tasks.json.gz"
    frames = read_labels(TaskDocumentsSource(paths=(str(path),))).frames
    return name_materials(frames, np.full(len(frames), "As2SO6"))


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow), 6], ids=["all", "every sixth"]
)
def test_real_relaxations_keep_the_same_frames_as_the_authors_code(
    step: int, relaxation: Frames, tmp_path: Path
) -> None:
    frames = relaxation[::step]

    found = search([frames], tmp_path, set())

    kept = name_kept([frames], found)
    assert kept == choose_naively(frames)
    assert 5 < len(kept) < len(frames)


def test_the_result_does_not_depend_on_the_number_of_processes(
    relaxation: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three materials with frames in all parts, and one with frames in one."""
    names = np.resize(["a", "b", "c"], 24)
    frames = relaxation[:24]
    parts = [
        name_materials(frames, names)[:9],
        name_materials(frames, names)[9:],
        relaxation[30:60],
    ]
    alone = search(parts, tmp_path, {"a", "b", "c"})
    monkeypatch.setattr(duplicates, "MIN_PARALLEL", 2)
    monkeypatch.setenv("NEXTRUNG_N_PROCESSES", "2")

    together = search(parts, tmp_path, {"a", "b", "c"})

    assert name_kept(parts, together) == name_kept(parts, alone)
    assert together.elements == alone.elements
    assert len(name_kept(parts, alone)) < 54


def test_few_frames_are_compared_in_one_process(
    relaxation: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "ProcessPoolExecutor", None)

    assert search([relaxation[:4]], tmp_path, set()).kept
