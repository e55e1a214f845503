"""Every job reaches its workers, those that are planned while a flow runs as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jobflow
import pytest
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow, Response, job
from jobflow.managers.fireworks import flow_to_workflow

from nextrung.makers.routing import JOB_NAMES, describe_route, kind_of, route_flow
from nextrung.makers.study import StudyMaker
from nextrung.makers.submission import make_workflow
from nextrung.schemas.cluster.machine import GPU_JOBS, JobRoute, JobRoutes, Machine

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks import LaunchPad
    from jobflow import JobStore

    from nextrung.schemas.study import StudySettings

MACHINE = Machine.model_validate(
    {
        "categories": {"cpu": {}, "gpu": {"gpus": 1, "walltime": "10:00:00"}},
        "jobs": {"relaxation": {"walltime": "20:00:00"}},
    }
)


@pytest.fixture(autouse=True)
def loggers_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep fireworks from changing the loggers of the whole process."""
    monkeypatch.setattr(jobflow, "initialize_logger", lambda: None)


def categories_of(launchpad: LaunchPad) -> dict[str, str]:
    """Category of the worker that ran each firework, by the firework's name."""
    return {
        firework["name"]: launch["fworker"]["category"]
        for firework in launchpad.fireworks.find({"state": "COMPLETED"})
        for launch in launchpad.launches.find({"fw_id": firework["fw_id"]})
    }


def launch_all(launchpad: LaunchPad, folder: Path) -> None:
    """Let a CPU and a GPU worker take turns until nothing is left."""
    while launchpad.get_fw_ids({"state": "READY"}):
        for category in ("cpu", "gpu"):
            rapidfire(
                launchpad,
                FWorker(category, category),
                m_dir=str(folder),
                max_loops=1,
                sleep_time=0.01,
                strm_lvl="CRITICAL",
            )


def test_every_kind_of_job_has_a_name_and_a_route() -> None:
    assert list(JOB_NAMES) == list(JobRoutes.model_fields)


def test_the_kind_of_every_job_of_a_study_follows_from_its_name(
    study_settings: StudySettings,
) -> None:
    flow = StudyMaker(study_settings).make()

    kinds = {made.name: kind_of(made.name) for made, _ in flow.iterflow()}  # type: ignore[no-untyped-call]

    assert None not in kinds.values()
    assert kinds["fine tune scratch"] == "fine_tuning"
    for name, kind in kinds.items():
        others = [begin for other, begin in JOB_NAMES.items() if other != kind]
        assert not any(begin in name for begin in others)


def test_jobs_that_jobflow_adds_have_no_kind() -> None:
    assert kind_of("store_inputs") is None


def test_a_route_is_written_in_the_words_of_the_queue() -> None:
    route = JobRoute(category="gpu", walltime="1:00:00", memory="16G", cpus=8, gpus=2)

    assert describe_route(route) == {
        "_category": "gpu",
        "_queueadapter": {
            "walltime": "1:00:00",
            "mem": "16G",
            "cpus_per_task": 8,
            "gres": "gpu:2",
        },
    }
    assert describe_route(JobRoute(category="cpu")) == {"_category": "cpu"}


@job
def plan(depth: int) -> Any:  # noqa: ANN401
    """Plan a shard and, until the depth is used up, another plan."""
    shard = relax()
    if depth == 0:
        return Response(replace=Flow([shard], output=shard.output))
    deeper = plan(depth - 1)
    deeper.name = f"plan relaxations {depth - 1}"
    shard.name = f"relax shard {depth}"
    return Response(replace=Flow([shard, deeper], output=deeper.output))


@job(name="relax shard 0")
def relax() -> int:
    """Stand for a shard."""
    return 1


@pytest.mark.mongo
def test_shards_of_nested_plans_run_on_the_gpu_and_their_plans_do_not(
    launchpad: LaunchPad,
    job_store: JobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", job_store)
    first = plan(2)
    first.name = "plan relaxations 2"
    flow = Flow([first])
    route_flow(flow, MACHINE)

    launchpad.add_wf(flow_to_workflow(flow))
    launch_all(launchpad, tmp_path)

    ran = categories_of(launchpad)
    assert {name: ran[name] for name in ran if "relax shard" in name} == {
        f"relax shard {level}": "gpu" for level in range(3)
    }
    assert {ran[name] for name in ran if "relax shard" not in name} == {"cpu"}
    assert any(name.startswith("store_inputs") for name in ran)


@pytest.mark.mongo
def test_every_job_of_a_study_runs_on_a_worker_of_its_kind(
    launchpad: LaunchPad,
    finished_store: JobStore,
    study_settings: StudySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", finished_store)

    launchpad.add_wf(make_workflow(study_settings, MACHINE, {}))
    launch_all(launchpad, tmp_path)

    assert launchpad.get_fw_ids({"state": {"$ne": "COMPLETED"}}) == []
    ran = categories_of(launchpad)
    assert sum(name.startswith("relax shard") for name in ran) > 4
    assert ran == {name: "gpu" if kind_of(name) in GPU_JOBS else "cpu" for name in ran}
    shards = launchpad.fireworks.find({"name": {"$regex": "^relax shard"}})
    assert {shard["spec"]["_queueadapter"]["walltime"] for shard in shards} == {
        "20:00:00"
    }
