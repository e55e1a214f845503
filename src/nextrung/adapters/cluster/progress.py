"""Progress of a study: jobs on the LaunchPad, and shards in the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nextrung.adapters.cluster.launchpad import find_newest_workflow
from nextrung.adapters.connections import redact_credentials
from nextrung.adapters.stores.running_jobs import find_running_jobs
from nextrung.compute.throughput import measure_busy_time
from nextrung.schemas.cluster.progress import FailedJob, ShardProgress, StudyProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fireworks import LaunchPad
    from jobflow import JobStore

#: Kind of the relaxation jobs.
SHARD_KIND = "relaxation"

#: Reason of a failure that left no traceback.
UNKNOWN_REASON = "no exception stored"

#: Reasons of jobs that a signal stopped, by the exception that it raised.
STOPPED = {
    "SystemExit: 143": "stopped by SIGTERM: walltime, or scancel",
    "KeyboardInterrupt": "stopped by SIGINT: walltime, scancel, or Ctrl-C",
}

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
    running: list[str] = []
    for job in launchpad.fireworks.find(criteria, list(JOB_FIELDS)):
        kind = kind_of(job["name"]) or "inputs"
        jobs[kind][job["state"]] += 1
        uuids = [task["job"]["uuid"] for task in job["spec"]["_tasks"]]
        if kind == SHARD_KIND:
            shards += uuids
        if job["state"] == "RUNNING":
            running += uuids
        if job["state"] == "FIZZLED":
            failed[job["fw_id"]] = job["name"]
    reported = find_running_jobs(store, running)
    return StudyProgress(
        study=study,
        workflow=min(workflow["nodes"]),
        state=workflow["state"],
        jobs={kind: dict(states) for kind, states in jobs.items()},
        running=reported,
        failed=_explain_failures(launchpad, failed),
        shards=_measure_shards(
            store,
            shards,
            jobs[SHARD_KIND],
            n_running=sum(job.done for job in reported if job.uuid in shards),
        ),
    )


def _measure_shards(
    store: JobStore, uuids: list[str], states: Mapping[str, int], *, n_running: int
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
        n_running_materials=n_running,
        busy_hours=hours,
        materials_per_hour=rate,
        hours_left=max(n_left * n_materials / len(done) - n_running, 0) / rate
        if rate
        else None,
    )


def _explain_failures(
    launchpad: LaunchPad, failed: Mapping[int, str]
) -> list[FailedJob]:
    """Find the exception of the last run of each failed job."""
    criteria = {"fw_id": {"$in": list(failed)}, "state": "FIZZLED"}
    trace = "action.stored_data._exception._stacktrace"
    reasons = dict.fromkeys(failed, UNKNOWN_REASON)
    for launch in launchpad.launches.find(criteria, ["fw_id", trace]).sort("launch_id"):
        stored = ((launch.get("action") or {}).get("stored_data") or {}).get(
            "_exception"
        ) or {}
        reasons[launch["fw_id"]] = find_exception(stored.get("_stacktrace", ""))
    return [
        FailedJob(fw_id=fw_id, name=failed[fw_id], reason=reasons[fw_id])
        for fw_id in sorted(failed)
    ]


def find_exception(trace: str) -> str:
    """Find the exception of a Python traceback.

    Parameters
    ----------
    trace : str
        Text of the traceback.

    Returns
    -------
    str
        Type and message of the exception that was raised last in one line, without
        credentials.
    """
    last_frame = trace.rpartition('\n  File "')[2].splitlines()[1:]
    raised = [line for line in last_frame if line.strip() and line[0] != " "]
    if not raised:
        return UNKNOWN_REASON
    kind, separator, message = raised[0].partition(":")
    text = f"{kind.rpartition('.')[2]}{separator}{message}"
    return STOPPED.get(text) or redact_credentials(text)


def _find_interval(provenance: Mapping[str, Any]) -> tuple[float, float]:
    """Return the start and the end of a job."""
    end = datetime.fromisoformat(provenance["completed_at"]).timestamp()
    return end - provenance["wall_time"], end
