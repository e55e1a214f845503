"""The command that says how far a study is: status."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from nextrung.adapters.cluster.config_files import FOLDER_VARIABLE, find_configuration
from nextrung.adapters.cluster.launchpad import open_launchpad
from nextrung.adapters.cluster.progress import follow_study
from nextrung.adapters.stores.job_store import find_documents
from nextrung.cli.cluster import Configuration
from nextrung.cli.running import Where, console, locate_study, opened
from nextrung.makers.routing import JOB_NAMES, kind_of

if TYPE_CHECKING:
    from nextrung.schemas.cluster.progress import ShardProgress, StudyProgress

#: Columns of the table, and the states of FireWorks that each of them counts.
COLUMNS = {
    "waiting": ("WAITING", "PAUSED"),
    "ready": ("READY",),
    "queued": ("RESERVED",),
    "running": ("RUNNING",),
    "done": ("COMPLETED",),
    "failed": ("FIZZLED", "DEFUSED"),
}

#: Failed jobs that are named.
NAMED_FAILURES = 5


def status(
    where: Where,
    *,
    config: Configuration = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how far a study is: its jobs by kind and state, its shards, their speed.

    Of a run folder, and where no LaunchPad is known, count the finished jobs by name.
    """
    store, name = locate_study(where, None)
    if name is None or (config is None and not os.environ.get(FOLDER_VARIABLE)):
        criteria = {} if name is None else {"metadata.study": name}
        names = Counter(found["name"] for found in find_documents(store, criteria))
        for job, count in names.items():
            console.print(f"{count:6d}  {job}")
        return
    launchpad = open_launchpad(find_configuration(config))
    opened.callback(launchpad.connection.close)
    progress = follow_study(launchpad, store, name, kind_of=kind_of)
    if as_json:
        typer.echo(progress.model_dump_json(indent=1))
    else:
        _show(progress)


def _show(progress: StudyProgress) -> None:
    """Print a table of jobs, the shards, and what failed."""
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
    for fw_id, name in list(progress.failed.items())[:NAMED_FAILURES]:
        console.print(f"failed: {name} → `lpad get_fws -i {fw_id} -d all`")
    if progress.failed:
        console.print("run failed jobs again: `lpad rerun_fws -s FIZZLED`")


def _cells(states: dict[str, int]) -> list[str]:
    """Write the counts of one kind; nothing for zero."""
    return [
        str(sum(states.get(state, 0) for state in counted) or "")
        for counted in COLUMNS.values()
    ]


def _describe(shards: ShardProgress) -> str:
    """Say in one line how far the relaxations are."""
    parts = [
        f"shards: {shards.n_done} of {shards.n_done + shards.n_left} done",
        f"{shards.n_materials} materials",
    ]
    if shards.materials_per_hour is not None:
        parts.append(f"{shards.materials_per_hour:.0f} materials/h")
    if shards.hours_left:
        parts.append(f"about {shards.hours_left:.1f} h left")
    return ", ".join(parts)
