from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from fireworks import Firework
from jobflow import Flow, Job, run_locally
from jobflow.managers.fireworks import flow_to_workflow

from nextrung.adapters.stores.studies import load_documents, load_study
from nextrung.makers.jobs.task_job import JobState
from nextrung.makers.study import StudyMaker
from nextrung.schemas.models import Model
from nextrung.schemas.stability import Competitors, StabilitySettings
from nextrung.schemas.stability.table import LoadedStability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobflow import JobStore

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudySettings


def jobs_of(flow: Flow) -> Iterator[Job]:
    for member in flow.jobs:
        if isinstance(member, Flow):
            yield from jobs_of(member)
        else:
            yield member


def run_again(
    settings: StudySettings, store: JobStore, caplog: pytest.LogCaptureFixture
) -> list[str]:
    """Run a study in the folder of the finished one; list what was computed."""
    caplog.set_level(logging.DEBUG, logger="nextrung")
    run_locally(
        StudyMaker(settings).make(), store=store, log=False, raise_immediately=True
    )
    done = [
        vars(record)["job"]
        for record in caplog.records
        if vars(record).get("state") is JobState.DONE
    ]
    return [job for job in done if not job.startswith("plan relaxations")]


def test_every_part_of_the_study_has_its_document(
    documents: dict[str, TaskDoc], study_settings: StudySettings
) -> None:
    per_model = ("fine_tuning", "evaluation", "relaxation", "stability", "density")
    expected = {f"physics/{model}" for model in study_settings.models} | {
        "dataset",
        "alignment",
        "scaling_law",
        "atom_refs/refit",
        "atom_refs/residual",
        "fine_tuning/source_refit",
        *(f"{part}/{model}" for part in per_model for model in study_settings.models),
    }
    assert set(documents) == expected


def test_settings_are_stored_whole(
    documents: dict[str, Any], study_settings: StudySettings
) -> None:
    assert study_settings.relaxation is not None
    expected = {
        "dataset": study_settings.dataset,
        "alignment": study_settings.alignment,
        "fine_tuning/scratch": study_settings.training,
        "evaluation/scratch": study_settings.evaluation,
        "relaxation/scratch": study_settings.relaxation.of_each,
        "stability/scratch": study_settings.stability,
        "density/scratch": study_settings.density,
        "scaling_law": study_settings.scaling_law,
    }
    assert {part: documents[part].settings for part in expected} == expected


def test_results_are_those_of_the_documents(
    finished_store: JobStore, documents: dict[str, Any]
) -> None:
    results = load_study(finished_store).results

    assert list(results.models) == list(load_study(finished_store).settings.models)
    for model, summary in results.models.items():
        assert summary.metrics == documents[f"evaluation/{model}"].metrics
        assert summary.density is not None
        assert summary.density.mae == documents[f"density/{model}"].mae
        assert summary.stability is not None
        every = documents[f"stability/{model}"].metrics["all"]
        assert summary.stability.decomposition_energy_mae_all == (
            every.decomposition_energy_mae
        )
        made = documents[f"fine_tuning/{model}"]
        assert summary.checkpoint_sha256 == made.checkpoint.sha256
    assert results.labels == "distilled from chgnet-r2scan"


def test_results_are_plain_json(finished_store: JobStore) -> None:
    results = json.loads(load_study(finished_store).results.model_dump_json())

    test = results["models"]["source"]["metrics"]["test"]
    assert {"energy_mae", "forces_mae", "stress_mae", "magmoms_mae"} <= set(test)
    assert set(results["dataset"]["n_rejected"]) >= {"hubbard_u", "duplicate"}


def test_every_named_job_is_in_the_store(finished_store: JobStore) -> None:
    jobs = load_study(finished_store).results.jobs

    assert finished_store.count({"uuid": {"$in": list(jobs.values())}}) >= len(jobs)


def test_residual_references_beat_none(documents: dict[str, Any]) -> None:
    """The labels are on another energy scale than the source: references matter."""
    errors = {
        model: documents[f"evaluation/{model}"].metrics["train"].energy_mae
        for model in (Model.SOURCE, Model.SOURCE_RESIDUAL)
    }
    assert errors[Model.SOURCE_RESIDUAL] < 0.5 * errors[Model.SOURCE]


def test_second_run_computes_nothing(
    finished_store: JobStore,
    study_settings: StudySettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = load_documents(finished_store, load_study(finished_store))

    assert run_again(study_settings, finished_store, caplog) == []
    after = load_documents(finished_store, load_study(finished_store))
    assert set(after) == set(before)
    for name, document in after.items():
        expected = before[name]
        if isinstance(document, LoadedStability):
            assert isinstance(expected, LoadedStability)
            assert document.records == expected.records
        else:
            assert document == expected


def test_changed_setting_recomputes_what_depends_on_it_alone(
    finished_store: JobStore,
    study_settings: StudySettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    competing = StabilitySettings(competitors=Competitors.SELF)
    changed = study_settings.model_copy(
        update={"stability": competing, "name": "changed"}
    )

    computed = run_again(changed, finished_store, caplog)

    assert set(computed) == {
        *(f"score stability {model}" for model in study_settings.models),
        "gather results",
    }


def test_wired_jobs_survive_the_trip_through_a_launchpad(
    study_settings: StudySettings,
) -> None:
    flow = StudyMaker(study_settings).make()
    fireworks = flow_to_workflow(flow).fws

    jobs = {job.uuid: job for job in jobs_of(flow)}
    assert len(fireworks) == len(jobs)
    for firework in fireworks:
        stored = json.loads(json.dumps(firework.to_dict(), default=str))
        job = Firework.from_dict(stored).tasks[0]["job"]
        assert job.maker == jobs[job.uuid].maker
        assert job.function_kwargs == jobs[job.uuid].function_kwargs


def test_jobs_name_their_study(study_settings: StudySettings) -> None:
    flow = StudyMaker(study_settings).make()

    assert {job.metadata["study"] for job in jobs_of(flow)} == {"small"}


def test_stored_documents_name_their_part(
    finished_store: JobStore, study_settings: StudySettings
) -> None:
    """Shards, which are planned while the study runs, name it too."""
    found = list(finished_store.query({}, ["metadata", "output.@class"]))

    parts = {document["metadata"]["part"] for document in found}
    shards = {
        document["metadata"]["part"]
        for document in found
        if document.get("output", {}).get("@class") == "ShardDoc"
    }
    assert shards == {f"relaxation/{model}" for model in study_settings.models}
    assert parts >= shards | {"dataset", "scaling_law", "study"}


@pytest.mark.parametrize("stage", ["density", "scaling_law", "alignment"])
def test_stage_that_is_null_is_left_out(
    stage: str, study_settings: StudySettings
) -> None:
    flow = StudyMaker(study_settings.model_copy(update={stage: None})).make()
    words = {"density": "densities", "scaling_law": "scaling", "alignment": "align"}

    assert not [job.name for job in jobs_of(flow) if words[stage] in job.name]
