"""Models of a study whose recipes the study names itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from fireworks import Firework
from jobflow import Flow, Job, run_locally
from jobflow.managers.fireworks import flow_to_workflow

from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.studies import load_documents, load_study
from nextrung.makers.fine_tuning import FineTuningMaker
from nextrung.makers.jobs.fingerprints import identify
from nextrung.makers.study import StudyMaker
from nextrung.schemas.models import Model, NamedRecipe, Rereference, Trained
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOVING = {
    "name": "residual_trainable",
    "pretrained": True,
    "rereference": "residual",
    "trained": "network_and_atom_refs",
}

ADAPTED = MOVING | {"name": "rank_2", "trained": "adapters", "adapter_rank": 2}


def jobs_of(flow: Flow) -> Iterator[Job]:
    for member in flow.jobs:
        if isinstance(member, Flow):
            yield from jobs_of(member)
        else:
            yield member


@pytest.fixture
def settings(study_settings: StudySettings) -> StudySettings:
    stages = ("relaxation", "stability", "density", "physics", "scaling_law")
    changed = {
        "models": ["source", MOVING, ADAPTED],
        **dict.fromkeys((*stages, "alignment")),
    }
    return StudySettings.model_validate(study_settings.model_dump() | changed)


def test_a_study_trains_recipes_of_its_own(
    settings: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    store = make_embedded_store(tmp_path)
    flow = StudyMaker(settings).make()
    run_locally(flow, store=store, log=False, raise_immediately=True)
    study = load_study(store)
    documents: dict[str, Any] = load_documents(store, study)

    made = documents["fine_tuning/residual_trainable"]
    assert made.model == "residual_trainable"
    assert made.recipe.rereference is Rereference.RESIDUAL
    assert made.recipe.trained is Trained.NETWORK_AND_ATOM_REFS
    assert len(made.history) == settings.training.epochs
    adapted = documents["fine_tuning/rank_2"]
    assert (adapted.recipe.trained, adapted.recipe.adapter_rank) == ("adapters", 2)
    assert adapted.history != made.history
    assert list(study.results.models) == ["source", "residual_trainable", "rank_2"]
    assert study.settings == settings


def test_recipes_survive_the_trip_through_a_launchpad(settings: StudySettings) -> None:
    flow = StudyMaker(settings).make()
    jobs = {job.uuid: job for job in jobs_of(flow)}
    for firework in flow_to_workflow(flow).fws:
        stored = json.loads(json.dumps(firework.to_dict(), default=str))
        job = Firework.from_dict(stored).tasks[0]["job"]
        assert job.maker == jobs[job.uuid].maker


def test_a_recipe_of_its_own_is_validated_in_the_maker() -> None:
    maker = FineTuningMaker(model=MOVING)  # type: ignore[arg-type]

    assert maker.model == NamedRecipe.model_validate(MOVING)
    assert FineTuningMaker(model="scratch").model is Model.SCRATCH  # type: ignore[arg-type]


def test_another_recipe_of_the_same_name_is_another_job() -> None:
    others: list[dict[str, Any]] = [
        {"trained": "network"},
        {"trained": "adapters", "adapter_rank": 2},
        {"trained": "adapters", "adapter_rank": 4},
        {"anchor": {"kind": "l2", "weight": 1}},
        {"training_labels": "energies"},
    ]
    uuids = {
        identify(FineTuningMaker(model=NamedRecipe.model_validate(MOVING | other)), [])
        for other in [{}, *others]
    }
    assert len(uuids) == 1 + len(others)
