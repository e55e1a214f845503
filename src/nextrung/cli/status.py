"""The command on the progress of a study: status."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from nextrung.cli.options import AsJson, Configuration, StudyName, Where
from nextrung.cli.running import console, locate_study, opened
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from jobflow import JobStore

    from nextrung.schemas.cluster.progress import (
        RunningJob,
        ShardProgress,
        StudyProgress,
    )

#: Columns of the table, and the states of FireWorks that each of them counts.
COLUMNS = {
    "waiting": ("WAITING", "PAUSED"),
    "ready": ("READY",),
    "queued": ("RESERVED",),
    "running": ("RUNNING",),
    "done": ("COMPLETED",),
    "failed": ("FIZZLED", "DEFUSED"),
}

#: Failed and running jobs that are listed.
LISTED_JOBS = 10

#: Age in s of a report that is told.
OLD_REPORT = 600


def status(
    where: Where,
    *,
    study: StudyName = None,
    config: Configuration = None,
    as_json: AsJson = False,
) -> None:
    """Show the progress of a study: jobs, epochs, materials/h, reasons of failures.

    For a run folder, and without a LaunchPad, count the finished jobs by name.
    """
    from nextrung.adapters.cluster.config_files import FOLDER_VARIABLE

    store, name = locate_study(where, study, config)
    has_launchpad = config is not None or os.environ.get(FOLDER_VARIABLE)
    if Path(where).is_dir() or not has_launchpad:
        _show_finished(store, where, name, as_json=as_json)
        return
    progress = _follow(store, where, config)
    if as_json:
        typer.echo(progress.model_dump_json(indent=1))
    else:
        _show(progress)


def _show_finished(
    store: JobStore, where: str, name: str | None, *, as_json: bool
) -> None:
    """Print how many jobs of each name are finished."""
    from nextrung.adapters.stores.job_store import find_documents

    criteria = {} if name is None else {"metadata.study": name}
    names = Counter(found["name"] for found in find_documents(store, criteria))
    if not names:
        raise InputError(
            f"expected finished jobs {f'of study {name} ' if name else ''}in the store "
            f"{f'of {where}' if Path(where).is_dir() else 'of the cluster'}, got "
            f"{_list_studies(store)}"
        )
    if as_json:
        typer.echo(json.dumps({"finished": dict(names)}, indent=1))
        return
    for job, count in names.items():
        console.print(f"{count:6d}  {job}")


def _list_studies(store: JobStore) -> str:
    """List the studies that a store holds jobs of."""
    stored = store.query({}, ["metadata.study"])
    names = {document["metadata"].get("study") for document in stored} - {None}
    return f"jobs of {', '.join(sorted(names))}" if names else "none"


def _follow(store: JobStore, name: str, config: Path | None) -> StudyProgress:
    """Read the progress of a study off the LaunchPad and the store."""
    from nextrung.adapters.cluster.config_files import find_configuration
    from nextrung.adapters.cluster.launchpad import open_launchpad
    from nextrung.adapters.cluster.progress import follow_study
    from nextrung.makers.routing import kind_of

    launchpad = open_launchpad(find_configuration(config))
    opened.callback(launchpad.connection.close)
    return follow_study(launchpad, store, name, kind_of=kind_of)


def _show(progress: StudyProgress) -> None:
    """Print a table of jobs, the shards, and the running and failed jobs."""
    from nextrung.adapters.cluster.launchpad import rerun_command
    from nextrung.makers.routing import JOB_NAMES

    console.print(
        f"study {progress.study}, workflow {progress.workflow}: {progress.state}"
    )
    table = Table("jobs", *COLUMNS)
    for kind in (*JOB_NAMES, "inputs"):
        states = progress.jobs.get(kind)
        if states:
            table.add_row(kind, *_cells(states))
    console.print(table)
    if progress.shards.n_done or progress.shards.n_left:
        console.print(_describe(progress.shards))
    _print_lines([f"running: {_describe_job(job)}" for job in progress.running])
    _print_lines(
        [
            f"failed: {job.name} (firework {job.fw_id}): {job.reason}"
            for job in progress.failed
        ]
    )
    if progress.failed:
        _print_lines([f"run failed jobs again: `{rerun_command(progress.study)}`"])


def _print_lines(lines: list[str]) -> None:
    """Print the first lines, and how many there are beside them."""
    for line in lines[:LISTED_JOBS]:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if len(lines) > LISTED_JOBS:
        console.print(f"… and {len(lines) - LISTED_JOBS} more: --json")


def _describe_job(job: RunningJob) -> str:
    """Describe the progress of a running job in one line."""
    parts = [f"{job.name} on {job.host}: {job.done} of {job.total}"]
    if job.text:
        parts.append(job.text)
    if job.hours_left is not None:
        parts.append(f"about {job.hours_left:.1f} h left")
    age = (datetime.now(UTC) - job.updated_at).total_seconds()
    if age > OLD_REPORT:
        parts.append(f"reported {age / 60:.0f} min ago")
    return ", ".join(parts)


def _cells(states: dict[str, int]) -> list[str]:
    """Format the counts of one kind; empty for zero."""
    return [
        str(sum(states.get(state, 0) for state in counted) or "")
        for counted in COLUMNS.values()
    ]


def _describe(shards: ShardProgress) -> str:
    """Describe the progress of the relaxations in one line."""
    parts = [
        f"shards: {shards.n_done} of {shards.n_done + shards.n_left} done",
        f"{shards.n_materials} materials",
    ]
    if shards.n_running_materials:
        parts[-1] += f" and {shards.n_running_materials} of running shards"
    if shards.materials_per_hour is not None:
        parts.append(f"{shards.materials_per_hour:.0f} materials/h")
    if shards.hours_left:
        parts.append(f"about {shards.hours_left:.1f} h left")
    return ", ".join(parts)
