from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fireworks import Firework, Workflow
from jobflow import job
from jobflow.managers.fireworks import JobFiretask

from nextrung.adapters.cluster.launchpad import add_workflow
from nextrung.adapters.cluster.progress import follow_study
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
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
    assert list(found.failed.values()) == ["plan b"]
    assert launchpad.get_fw_by_id(min(found.failed)).name == "plan b"


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
