"""How commands run jobs on this machine: in a run folder, in sight, resumable."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from jobflow import Job, run_locally
from rich.console import Console

from nextrung.adapters.stores.job_store import (
    close_store,
    make_embedded_store,
    open_configured_store,
    open_embedded_store,
)
from nextrung.cli.progress import JobProgress

if TYPE_CHECKING:
    from jobflow import Flow, JobStore

console = Console()

#: Connections to servers, closed when the command ends.
opened = ExitStack()

Root = Annotated[Path | None, typer.Option(help="Run folder.  [default: runs/NAME]")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Replace a setting.", metavar="KEY=VALUE"),
]

Where = Annotated[
    str,
    typer.Argument(
        help="Run folder, or the name of a study in the store of jobflow.yaml."
    ),
]
Name = Annotated[
    str | None, typer.Option("--study", help="Name of the study in a run folder.")
]


def open_run(root: Path | None, name: str) -> JobStore:
    """Make the run folder this process works in; open its store.

    Parameters
    ----------
    root : Path or None
        The run folder; ``runs/NAME`` by default.
    name : str
        Name of the study.

    Returns
    -------
    JobStore
        The connected store of the folder.
    """
    folder = (root or Path("runs") / name).resolve()
    os.environ["NEXTRUNG_ROOT"] = str(folder)
    return make_embedded_store(folder)


def locate_study(where: str, study: str | None) -> tuple[JobStore, str | None]:
    """Open the store that a run folder or the name of a study points to.

    Parameters
    ----------
    where : str
        A run folder, or the name of a study in the store of ``jobflow.yaml``.
    study : str or None
        Name of the study in a run folder; the one finished last by default.

    Returns
    -------
    store : JobStore
        The connected store.
    name : str or None
        Name of the study; None for the one finished last.
    """
    if Path(where).is_dir():
        os.environ["NEXTRUNG_ROOT"] = str(Path(where).resolve())
        return open_embedded_store(Path(where)), study
    if os.sep in where or where.startswith("."):
        return open_embedded_store(Path(where)), study
    store = open_configured_store()
    opened.callback(close_store, store)
    return store, where


def count_jobs(flow: Flow) -> int:
    """Count the jobs of a flow and of the flows in it.

    Parameters
    ----------
    flow : Flow
        A flow.

    Returns
    -------
    int
        Jobs before any of them plans others.
    """
    return sum(
        1 if isinstance(member, Job) else count_jobs(member) for member in flow.jobs
    )


def run_flow(flow: Flow, store: JobStore) -> None:
    """Run a flow in sight; independent jobs go on where one fails.

    Parameters
    ----------
    flow : Flow
        What to run.
    store : JobStore
        Where documents are kept, and looked up before anything is computed.

    Raises
    ------
    Exception
        The error of the first job that failed.
    """
    with JobProgress(console, count_jobs(flow)) as progress:
        run_locally(flow, store=store, log=False)
    console.print(progress.summary)
    if progress.failures:
        raise progress.failures[0]
