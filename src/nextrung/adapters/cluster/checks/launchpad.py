"""Checks of the LaunchPad: server, clocks, lost runs and workers."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from fireworks.fw_config import RUN_EXPIRATION_SECS

from nextrung.adapters.cluster.config_files import read_machine, read_workers
from nextrung.adapters.cluster.launchpad import count_jobs, rerun_lost_command
from nextrung.schemas.cluster.checks import Finding, Level, make_finding
from nextrung.schemas.cluster.machine import JobRoutes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fireworks import LaunchPad

#: Clock differences in s that are a warning and a failure.
SMALL_SKEW = 5.0
LARGE_SKEW = 300.0

#: Seconds for which a job may be ready before a category without a running job is
#: reported.
LONG_READY = 900.0

#: States of jobs that a worker has pulled and not finished.
TAKEN_STATES = ("RUNNING", "RESERVED")

#: States of jobs that no worker has pulled.
WAITING_STATES = ("WAITING", "READY", "PAUSED")


def check_launchpad(launchpad: LaunchPad, folder: Path) -> Iterator[Finding]:
    """Check versions, preparation, clocks, lost runs and workers of a LaunchPad.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad.
    folder : Path
        Configuration folder, with its worker files.
    """
    yield _check_server(launchpad)
    yield _check_clocks(launchpad)
    yield _check_lost_runs(launchpad)
    yield _check_unpulled_jobs(launchpad, folder)
    yield _check_idle_workers(folder)
    yield _check_untaken_jobs(launchpad)


def _check_server(launchpad: LaunchPad) -> Finding:
    """Report the versions, and whether the LaunchPad was prepared."""
    server = launchpad.connection.server_info()["version"]
    found = f"FireWorks {version('fireworks')}, MongoDB {server}, {launchpad.name}"
    if launchpad.fw_id_assigner.find_one({}) is None:
        advice = "`nextrung init` on the configuration folder prepares it"
        return make_finding("LaunchPad", Level.FAIL, f"{found}, never prepared", advice)
    return make_finding("LaunchPad", Level.OK, found)


def _check_clocks(launchpad: LaunchPad) -> Finding:
    """Compare the clock of the server with that of this machine."""
    before = datetime.now(UTC)
    remote = launchpad.connection.admin.command("hello")["localTime"].replace(
        tzinfo=UTC
    )
    after = datetime.now(UTC)
    skew = abs((remote - (before + (after - before) / 2)).total_seconds())
    level = Level.WARN if skew > SMALL_SKEW else Level.OK
    level = Level.FAIL if skew > LARGE_SKEW else level
    advice = "" if level is Level.OK else "set the clocks of both by NTP"
    return make_finding("clocks", level, f"{skew:.1f} s from that of MongoDB", advice)


def _check_lost_runs(launchpad: LaunchPad) -> Finding:
    """Count the running jobs without a recent heartbeat."""
    _, lost, _ = launchpad.detect_lostruns(expiration_secs=RUN_EXPIRATION_SECS)
    if lost:
        got = f"{len(lost)} without heartbeat for {RUN_EXPIRATION_SECS} s"
        studies = launchpad.fireworks.distinct(
            "spec.study", {"fw_id": {"$in": lost}, "spec.study": {"$ne": None}}
        )
        advice = (
            "; ".join(
                f"`{rerun_lost_command(study, RUN_EXPIRATION_SECS)}`"
                for study in sorted(studies)
            )
            or "`lpad detect_lostruns` lists them; they belong to no study"
        )
        return make_finding("running jobs", Level.WARN, got, advice)
    return make_finding("running jobs", Level.OK, "none is lost")


def _check_unpulled_jobs(launchpad: LaunchPad, folder: Path) -> Finding:
    """List the categories of waiting jobs that no worker file pulls."""
    subject, workers = "jobs without worker", read_workers(folder)
    if () in workers.values():
        return make_finding(subject, Level.OK, "a worker pulls every category")
    pulled = {category for names in workers.values() for category in names}
    criteria = {"state": {"$in": list(WAITING_STATES)}}
    counts = count_jobs(launchpad, criteria, "spec._category")
    unserved = {name: n for (name,), n in counts.items() if name not in pulled}
    machine = read_machine(folder)
    routes = {machine.route(kind).category for kind in JobRoutes.model_fields}
    unpulled = sorted(map(str, (routes - pulled) | set(unserved)))
    if unpulled:
        got = ", ".join(
            f"{name} ({unserved.get(name, 0)} waiting)" for name in unpulled
        )
        advice = "write a my_fworker.yaml that pulls them, or change machine.yaml"
        return make_finding(subject, Level.FAIL, f"no worker pulls {got}", advice)
    return make_finding(subject, Level.OK, f"workers pull {', '.join(sorted(pulled))}")


def _check_idle_workers(folder: Path) -> Finding:
    """List the worker files whose categories are not in the machine file."""
    known = set(read_machine(folder).categories)
    idle = [
        file
        for file, names in read_workers(folder).items()
        if names and not known & set(names)
    ]
    if idle:
        advice = "name their category in machine.yaml, or delete them"
        return make_finding(
            "workers without job", Level.WARN, f"no job for {', '.join(idle)}", advice
        )
    return make_finding("workers without job", Level.OK, "none")


def _check_untaken_jobs(launchpad: LaunchPad) -> Finding:
    """List the categories whose jobs are ready while no worker takes any."""
    subject = "ready jobs"
    taken = count_jobs(
        launchpad, {"state": {"$in": list(TAKEN_STATES)}}, "spec._category"
    )
    waits: defaultdict[str, list[float]] = defaultdict(list)
    fields = ["spec._category", "updated_on"]
    for job in launchpad.fireworks.find({"state": "READY"}, fields):
        category = job["spec"].get("_category")
        if (category,) not in taken:
            waits[str(category)].append(_count_seconds_since(job["updated_on"]))
    late = {name: ages for name, ages in waits.items() if max(ages) > LONG_READY}
    if not late:
        return make_finding(subject, Level.OK, "none waits for a launcher")
    got = ", ".join(
        f"{len(ages)} of {name} for {max(ages) / 60:.0f} min"
        for name, ages in sorted(late.items())
    )
    advice = (
        "is a launcher running (`pgrep -af 'qlaunch|rlaunch'` on the machine that "
        "submits)? do its pilots wait in `squeue --me`?"
    )
    return make_finding(
        subject, Level.WARN, f"no worker has taken a job: {got}", advice
    )


def _count_seconds_since(written: str | datetime) -> float:
    """Count the seconds since a time in UTC, which FireWorks stores in two types."""
    if isinstance(written, str):
        written = datetime.fromisoformat(written)
    return (datetime.now(UTC) - written.replace(tzinfo=UTC)).total_seconds()
