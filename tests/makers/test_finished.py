"""Finished potentials that are scored beside the models of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jobflow import Flow, Job, run_locally

from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.collections import describe_collection
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.studies import load_documents, load_study
from nextrung.makers.fine_tuning import FinishedMaker
from nextrung.makers.study import StudyMaker
from nextrung.potentials.registry import load_potential
from nextrung.schemas.dataset import SplitSettings
from nextrung.schemas.models import Model
from nextrung.schemas.repeats import RepeatSettings
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobflow import JobStore


def jobs_of(flow: Flow) -> Iterator[Job]:
    for member in flow.jobs:
        if isinstance(member, Flow):
            yield from jobs_of(member)
        else:
            yield member


def parts_of(flow: Flow) -> dict[str, Job]:
    return {job.metadata["part"]: job for job in jobs_of(flow)}


@pytest.fixture(scope="module")
def settings(
    study_settings: StudySettings, tmp_path_factory: pytest.TempPathFactory
) -> StudySettings:
    """A study without training beside two checkpoints, one of another functional."""
    folder = tmp_path_factory.mktemp("potentials")
    teacher = load_potential("chgnet-r2scan", "cpu")
    files = {"fits": "R2SCAN", "differs": "PBE"}
    for name, functional in files.items():
        path = folder / f"{name}.pth.tar"
        teacher.save(path, name=name, functional=functional)
    split = SplitSettings(val=0.2, test=0.5)
    return study_settings.model_copy(
        update={
            "name": "beside",
            "dataset": study_settings.dataset.model_copy(update={"split": split}),
            "models": (Model.SOURCE, Model.SOURCE_RESIDUAL),
            "finished": tuple(str(folder / f"{name}.pth.tar") for name in files),
            "repeats": RepeatSettings(splits=2),
            **dict.fromkeys(("density", "physics", "scaling_law", "alignment")),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, settings: StudySettings) -> Path:
    folder = tmp_path_factory.mktemp("beside")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(folder))
        flow = StudyMaker(settings).make()
        store = make_embedded_store(folder)
        run_locally(flow, store=store, log=False, raise_immediately=True)
    return folder


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(folder))
    return make_embedded_store(folder)


def test_a_finished_potential_is_scored_and_never_trained(
    study_settings: StudySettings,
) -> None:
    changed = {"finished": ["sevennet-mf-0/R2SCAN"], "repeats": {"seeds": [0, 1]}}
    settings = StudySettings.model_validate(study_settings.model_dump() | changed)
    parts = parts_of(StudyMaker(settings).make())
    name = "sevennet-mf-0_R2SCAN"

    stages = {part.partition("/")[0] for part in parts if name in part}
    assert stages == {
        "fine_tuning",
        "evaluation",
        "relaxation",
        "stability",
        "density",
        "physics",
    }
    assert not [part for part in parts if name in part and "seed=" in part]
    made = parts[f"fine_tuning/{name}"]
    assert isinstance(made.maker, FinishedMaker)
    assert made.maker.potential == "sevennet-mf-0/R2SCAN"
    assert made.function_kwargs == {}


def test_finished_potentials_change_no_other_job(
    study_settings: StudySettings,
) -> None:
    beside = study_settings.model_copy(update={"finished": ("sevennet-0",)})
    alone = parts_of(StudyMaker(study_settings).make())
    parts = parts_of(StudyMaker(beside).make())

    del alone["study"]
    assert {part: job.uuid for part, job in alone.items()} == {
        part: parts[part].uuid for part in alone
    }


def test_forgetting_is_of_models_that_have_a_source(
    study_settings: StudySettings,
) -> None:
    beside = study_settings.model_copy(update={"finished": ("sevennet-0",)})
    parts = parts_of(StudyMaker(beside).make())

    assert parts["physics/sevennet-0"].function_kwargs["source"] is None
    assert parts["physics/scratch"].function_kwargs["source"] is not None


def test_results_have_finished_potentials_beside_the_models(store: JobStore) -> None:
    results = load_study(store).results

    assert list(results.models) == ["source", "source_residual", "fits", "differs"]
    assert {n: f.same_functional for n, f in results.finished.items()} == {
        "fits": True,
        "differs": False,
    }
    assert results.finished["fits"].functional == "R2SCAN"
    tested = results.models["fits"].metrics["test"]
    assert tested.energy_mae == pytest.approx(0, abs=1e-5)
    assert [r.split for r in results.repeats["fits"].repeats] == [0, 1]


def test_a_finished_potential_is_never_the_best_model(store: JobStore) -> None:
    """The labels are distilled from it: no model has a lower error."""
    results = load_study(store).results

    assert results.best
    assert not {best.model for best in results.best.values()} & set(results.finished)


def test_energies_of_another_functional_are_in_no_difference(store: JobStore) -> None:
    compared = {(d.model, d.property) for d in load_study(store).results.differences}

    assert ("fits", "forces") in compared
    assert ("fits", "energy") in compared
    assert ("differs", "forces") in compared
    assert ("differs", "energy") not in compared


def test_documents_and_rows_carry_the_name(store: JobStore) -> None:
    documents: dict[str, Any] = load_documents(store, load_study(store))
    build_collections(store)
    with describe_collection(store, "models") as collection:
        rows = {row["model"] for row in collection.query({})}

    assert documents["evaluation/fits"].model == "fits"
    assert documents["fine_tuning/fits"].source.endswith("fits.pth.tar")
    assert documents["fine_tuning/fits"].n_train_frames == 0
    assert documents["relaxation/differs"].model == "differs"
    assert rows == {"source", "source_residual", "fits", "differs"}
