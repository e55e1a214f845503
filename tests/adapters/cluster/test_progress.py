from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
from fireworks import Firework, FWorker, Workflow
from fireworks.core.rocket_launcher import launch_rocket
from jobflow import job
from jobflow.managers.fireworks import JobFiretask

from nextrung.adapters.cluster.launchpad import add_workflow
from nextrung.adapters.cluster.progress import find_exception, follow_study
from nextrung.adapters.stores.running_jobs import RunningJobWriter
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks import LaunchPad
    from jobflow import JobStore

    from nextrung.schemas.cluster.progress import StudyProgress

pytestmark = pytest.mark.mongo


@job
def nothing() -> None:
    """Do nothing."""


def kind_of(name: str) -> str | None:
    """Kinds of the names below."""
    return {"plan": "relaxation_plan", "relax": "relaxation"}.get(
        name.split(maxsplit=1)[0]
    )


def submit(launchpad: LaunchPad, *names: str) -> None:
    """Add a study whose jobs have their names as uuids."""
    fireworks = []
    for number, name in enumerate(names, start=1):
        made = nothing()
        made.set_uuid(name)
        task = JobFiretask(job=made, store=None)
        fireworks.append(Firework([task], name=name, fw_id=-number))
    metadata = {"study": "demo", "flow": "flow"}
    add_workflow(launchpad, Workflow(fireworks, metadata=metadata))


def finish(launchpad: LaunchPad, store: JobStore, name: str, output: Any) -> None:  # noqa: ANN401
    """Complete a job and store its document."""
    launchpad.fireworks.update_one({"name": name}, {"$set": {"state": "COMPLETED"}})
    document = {"uuid": name, "index": 1, "name": name, "output": output}
    store.update([document], key=["uuid", "index"], save=False)


def shard(n_materials: int, end: str, seconds: float) -> dict[str, Any]:
    """The document of a shard that ended at a time of the day."""
    ran = {"completed_at": f"2026-01-01T{end}:00+00:00", "wall_time": seconds}
    return {"n_materials": n_materials, "provenance": ran}


def follow(launchpad: LaunchPad, store: JobStore) -> StudyProgress:
    return follow_study(launchpad, store, "demo", kind_of=kind_of)


def test_jobs_are_counted_by_kind_and_state(
    launchpad: LaunchPad, mongo_store: JobStore
) -> None:
    submit(launchpad, "plan a", "plan b", "relax 1", "store_inputs")
    finish(launchpad, mongo_store, "plan a", None)
    state = {"$set": {"state": "FIZZLED"}}
    launchpad.fireworks.update_one({"name": "plan b"}, state)

    found = follow(launchpad, mongo_store)

    assert found.jobs == {
        "relaxation_plan": {"COMPLETED": 1, "FIZZLED": 1},
        "relaxation": {"READY": 1},
        "inputs": {"READY": 1},
    }
    (failed,) = found.failed
    assert (failed.name, failed.reason) == ("plan b", "no exception stored")
    assert launchpad.get_fw_by_id(failed.fw_id).name == "plan b"


def test_the_remaining_time_follows_from_the_throughput(
    launchpad: LaunchPad, mongo_store: JobStore
) -> None:
    submit(launchpad, *(f"relax {number}" for number in range(4)))
    # Two shards side by side for an hour, then nothing, then one for an hour.
    for name, end in (("relax 0", "01:00"), ("relax 1", "01:00"), ("relax 2", "09:00")):
        finish(launchpad, mongo_store, name, shard(100, end, 3600))
    finish(launchpad, mongo_store, "relax of another study", shard(7, "12:00", 1))

    shards = follow(launchpad, mongo_store).shards

    assert (shards.n_done, shards.n_left, shards.n_materials) == (3, 1, 300)
    assert shards.busy_hours == pytest.approx(2)
    assert shards.materials_per_hour == pytest.approx(150)
    assert shards.hours_left == pytest.approx(100 / 150)


def test_before_the_first_shard_there_is_no_estimate(
    launchpad: LaunchPad, mongo_store: JobStore
) -> None:
    submit(launchpad, "relax 0")

    shards = follow(launchpad, mongo_store).shards

    assert (shards.n_done, shards.n_left) == (0, 1)
    assert shards.materials_per_hour is None
    assert shards.hours_left is None


def test_the_newest_workflow_is_used(
    launchpad: LaunchPad, mongo_store: JobStore
) -> None:
    submit(launchpad, "plan a", "plan b")
    submit(launchpad, "plan a")

    assert follow(launchpad, mongo_store).workflow == 3


def test_the_error_of_an_unknown_study_lists_the_submitted_ones(
    launchpad: LaunchPad, mongo_store: JobStore
) -> None:
    with pytest.raises(InputError, match=r"of study demo on the LaunchPad, .* none"):
        follow(launchpad, mongo_store)
    submit(launchpad, "plan a")

    with pytest.raises(InputError, match=r"got those of demo$"):
        follow_study(launchpad, mongo_store, "other", kind_of=kind_of)


@job
def fail() -> None:
    """Fail with a password in the message, and with a second line."""
    raise ValueError("expected mongodb://me:hidden@db, got none\n  of it")


def test_a_failed_job_has_the_exception_of_its_last_run(
    launchpad: LaunchPad,
    mongo_store: JobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    task = JobFiretask(job=fail(), store=None)
    metadata = {"study": "demo", "flow": "flow"}
    add_workflow(launchpad, Workflow([Firework(task, name="relax")], metadata=metadata))
    launch_rocket(launchpad, FWorker())

    (failed,) = follow(launchpad, mongo_store).failed

    assert failed.reason == "ValueError: expected mongodb://***@db, got none"


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (SystemExit(143), "stopped by SIGTERM: walltime, or scancel"),
        (KeyboardInterrupt(), "stopped by SIGINT: walltime, scancel, or Ctrl-C"),
        (InputError("a: b"), "InputError: a: b"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_the_exception_is_found_in_a_traceback(
    raised: BaseException, reason: str
) -> None:
    def run() -> None:
        raise raised

    with pytest.raises(type(raised)) as caught:
        run()
    trace = "".join(traceback.format_exception(caught.value))

    assert find_exception(trace) == reason
    assert find_exception("") == "no exception stored"


def test_running_jobs_are_followed_while_the_launchpad_runs_them(
    launchpad: LaunchPad, mongo_store: JobStore
) -> None:
    submit(launchpad, "relax 0", "relax 1", "relax 2")
    finish(launchpad, mongo_store, "relax 0", shard(100, "01:00", 3600))
    running = {"$set": {"state": "RUNNING"}}
    launchpad.fireworks.update_one({"name": "relax 1"}, running)
    for name in ("relax 1", "relax 2"):  # the worker of the second was killed
        writer = RunningJobWriter(mongo_store, uuid=name, name=name, host="n1")
        writer.write(50, 100, "")

    found = follow(launchpad, mongo_store)

    assert [running.name for running in found.running] == ["relax 1"]
    assert found.shards.n_running_materials == 50
    assert found.shards.hours_left == pytest.approx(1.5)
