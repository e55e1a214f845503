from __future__ import annotations

import json
from shutil import copytree
from typing import TYPE_CHECKING

import numpy as np
import pytest
from jobflow import run_locally
from monty.json import MontyDecoder

from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.studies import find_preflight, load_documents, load_study
from nextrung.makers.jobs.models import open_frames
from nextrung.makers.preflight import PreflightMaker, TrialMaker
from nextrung.schemas.dataset import DatasetDoc
from nextrung.schemas.models import Model, Rereference
from nextrung.schemas.preflight import PreflightDoc, PreflightSettings, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore

    from nextrung.schemas.study import StudySettings

BRIEF = PreflightSettings(epochs=1, batch_size=8, max_gradient_ratio=1000)


@pytest.fixture(scope="module")
def own_folder(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished study, to add documents to."""
    return copytree(finished_folder, tmp_path_factory.mktemp("own") / "finished")


@pytest.fixture
def own_store(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    """The store of that copy."""
    monkeypatch.setenv("NEXTRUNG_ROOT", str(own_folder))
    return make_embedded_store(own_folder)


@pytest.fixture
def tried(study_settings: StudySettings, own_store: JobStore) -> PreflightDoc:
    settings = study_settings.model_copy(update={"preflight": BRIEF})
    flow = PreflightMaker(settings).make()
    run_locally(flow, store=own_store, log=False, raise_immediately=True)
    return PreflightDoc.model_validate(own_store.get_output(flow.jobs[-1].uuid))


def test_scratch_and_the_transferred_models_of_the_study_are_tried(
    tried: PreflightDoc, own_store: JobStore, study_settings: StudySettings
) -> None:
    """Of source, source_residual, scratch and refitted_atom_refs."""
    models = [Model.SCRATCH, Model.REFITTED_ATOM_REFS]
    assert [trial.model for trial in tried.trials] == models
    assert list(tried.verdicts) == models[1:]
    assert tried.settings == BRIEF.model_copy(update={"models": study_settings.models})
    assert list(tried.training_times) == models
    dataset = load_documents(own_store, load_study(own_store))["dataset"]
    assert isinstance(dataset, DatasetDoc)
    frames = open_frames(dataset)
    assert tried.n_train_frames == np.sum(frames.splits == "train")
    assert tried.n_val_frames == np.sum(frames.splits == "val")


def test_correlations_of_other_ways_of_rereferencing_are_given_but_not_checked(
    tried: PreflightDoc,
) -> None:
    after = tried.correlations_referenced
    assert set(after) == set(Rereference)
    assert (after[Rereference.RESIDUAL] or 0) > 0.9
    assert not any("residual" in check.finding for check in tried.checks)


def test_the_verdict_follows_from_the_checks(tried: PreflightDoc) -> None:
    failed = [check.name for check in tried.checks if check.outcome == "failed"]
    assert (tried.verdict is Verdict.NO_GO) == bool(failed)
    assert tried.verdicts == {Model.REFITTED_ATOM_REFS: tried.verdict}
    assert "refitted_atom_refs" in tried.reason or tried.checks[0].name in tried.reason
    assert [(check.name, check.model) for check in tried.checks] == [
        ("correlation with the source", None),
        ("elements without reference", None),
        ("frames out of range", None),
        ("labels of one kind", None),
        ("labels that do not fit the others", None),
        ("aligned references", Model.REFITTED_ATOM_REFS),
        ("gradients", Model.REFITTED_ATOM_REFS),
        ("transfer against scratch", Model.REFITTED_ATOM_REFS),
    ]


def test_a_study_finds_the_preflight_on_its_data_set(
    tried: PreflightDoc, own_store: JobStore
) -> None:
    study = load_study(own_store)

    assert find_preflight(own_store, study) == tried
    assert load_documents(own_store, study)["preflight"] == tried


def test_a_preflight_on_other_data_is_not_found(
    tried: PreflightDoc, own_store: JobStore
) -> None:
    study = load_study(own_store)
    parents = study.provenance.parents | {"parts dataset": "another"}
    provenance = study.provenance.model_copy(update={"parents": parents})
    other = study.model_copy(update={"provenance": provenance})

    assert find_preflight(own_store, study) == tried
    assert find_preflight(own_store, other) is None


def test_the_maker_survives_the_json_of_a_launchpad() -> None:
    maker = TrialMaker(settings=BRIEF)

    assert MontyDecoder().decode(json.dumps(maker.as_dict())) == maker
