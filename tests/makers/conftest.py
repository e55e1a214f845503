"""One small study, run once: every Maker leaves its document in its store."""

from __future__ import annotations

from functools import partial
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import run_locally

from nextrung.adapters.stores.job_store import close_store, make_embedded_store
from nextrung.adapters.stores.studies import load_documents, load_study
from nextrung.makers.study import StudyMaker
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobflow import JobStore

    from nextrung.schemas.base import TaskDoc

SMALL_STUDY: dict[str, Any] = {
    "name": "small",
    "dataset": {
        "source": {
            "kind": "distilled",
            "chemical_systems": ["Mg-O"],
            "n_materials_per_system": 9,
            "n_polymorphs_per_element": 1,
            "n_frames_per_material": 2,
            "max_atoms": 4,
            "fmax": 0.2,
        },
        "split": {"val": 0.2, "test": 0.2},
    },
    "training": {"epochs": 1, "batch_size": 4, "gradient_points": 2},
    "models": ["source", "source_residual", "scratch", "refitted_atom_refs"],
    "relaxation": {"fmax": 0.3, "max_steps": 30, "materials_per_shard": 6},
    "density": {"n_crystals": 2, "relaxation": {"fmax": 0.3, "max_steps": 30}},
    "physics": {
        "crystals": ["MgO rocksalt"],
        "tests": ["equation_of_state"],
        "forgetting": {"n_perturbed": 1},
    },
    "scaling_law": {"sizes": [4, 8], "fit_above": 0},
}


@pytest.fixture(scope="session")
def study_settings() -> StudySettings:
    return StudySettings.model_validate(SMALL_STUDY)


def run_study(settings: StudySettings, folder: Path) -> None:
    """Run a study in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(folder))
        flow = StudyMaker(settings).make()
        store = make_embedded_store(folder)
        run_locally(flow, store=store, log=False, raise_immediately=True)
        close_store(store)


@pytest.fixture(scope="session")
def finished_folder(
    make_once: Callable[[str, Callable[[Path], None]], Path],
    study_settings: StudySettings,
) -> Path:
    """The run folder of the small study, finished."""
    return make_once("small-study", partial(run_study, study_settings))


@pytest.fixture
def finished_store(
    finished_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> JobStore:
    """The store of the finished study, a copy that tests may add documents to."""
    copy = copytree(finished_folder, tmp_path / "finished")
    monkeypatch.setenv("NEXTRUNG_ROOT", str(copy))
    return make_embedded_store(copy)


@pytest.fixture
def documents(finished_store: JobStore) -> dict[str, TaskDoc]:
    """Every document of the finished study, by stage or stage/model."""
    return load_documents(finished_store, load_study(finished_store))
