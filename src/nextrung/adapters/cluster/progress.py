"""Progress of a study: jobs on the LaunchPad, and shards in the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nextrung.adapters.cluster.launchpad import find_newest_workflow
from nextrung.compute.throughput import measure_busy_time
from nextrung.schemas.cluster.progress import ShardProgress, StudyProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fireworks import LaunchPad
    from jobflow import JobStore

#: Kind of the relaxation jobs.
SHARD_KIND = "relaxation"

#: Fields that are read of each firework.
JOB_FIELDS = ("fw_id", "name", "state", "spec._tasks.job.uuid")

#: Fields that are read of the document of each shard.
SHARD_FIELDS = (
    "output.n_materials",
    "output.provenance.completed_at",
    "output.provenance.wall_time",
)


def follow_study(
    launchpad: LaunchPad,
    store: JobStore,
    study: str,
    *,
    kind_of: Callable[[str], str | None],
) -> StudyProgress:
    """Measure the progress of the newest workflow of a study.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad.
    store : JobStore
        The connected store of the workers.
    study : str
        Name of the study.
    kind_of : callable of str to str or None
        Returns the kind of a job from its name.
    """
    workflow = find_newest_workflow(launchpad, study)
    criteria = {"fw_id": {"$in": workflow["nodes"]}}
    jobs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    failed: dict[int, str] = {}
    shards: list[str] = []
    for job in launchpad.fireworks.find(criteria, list(JOB_FIELDS)):
        kind = kind_of(job["name"]) or "inputs"
        jobs[kind][job["state"]] += 1
        if kind == SHARD_KIND:
            shards += [task["job"]["uuid"] for task in job["spec"]["_tasks"]]
        if job["state"] == "FIZZLED":
            failed[job["fw_id"]] = job["name"]
    return StudyProgress(
        study=study,
        workflow=min(workflow["nodes"]),
        state=workflow["state"],
        jobs={kind: dict(states) for kind, states in jobs.items()},
        failed=dict(sorted(failed.items())),
        shards=_measure_shards(store, shards, jobs[SHARD_KIND]),
    )


def _measure_shards(
    store: JobStore, uuids: list[str], states: Mapping[str, int]
) -> ShardProgress:
    """Measure the throughput of finished shards, and estimate the remaining time."""
    done = list(store.query({"uuid": {"$in": uuids}}, list(SHARD_FIELDS)))
    n_left = sum(states.values()) - states.get("COMPLETED", 0)
    n_materials = sum(shard["output"]["n_materials"] for shard in done)
    busy = measure_busy_time(
        _find_interval(shard["output"]["provenance"]) for shard in done
    )
    hours = busy / 3600
    rate = n_materials / hours if hours else None
    return ShardProgress(
        n_done=len(done),
        n_left=n_left,
        n_materials=n_materials,
        busy_hours=hours,
        materials_per_hour=rate,
        hours_left=n_left * n_materials / len(done) / rate if rate else None,
    )


def _find_interval(provenance: Mapping[str, Any]) -> tuple[float, float]:
    """Return the start and the end of a job."""
    end = datetime.fromisoformat(provenance["completed_at"]).timestamp()
    return end - provenance["wall_time"], end
