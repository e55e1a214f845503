"""Terminal, stores, devices and jobs of commands on this machine."""

from __future__ import annotations

import os
import re
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from rich.console import Console

from nextrung.schemas.base import InputError, Record, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobflow import Flow, JobStore
    from rich.text import Text

    from nextrung.schemas.labels.curation import Rule
    from nextrung.schemas.labels.identity import FileCounts

#: Control characters that move the cursor or change the terminal.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class PlainConsole(Console):
    """Console to which text is neither markup nor emoji, without control characters.

    Names of files, entries and frames are the user's: ``[mp]-1`` would be shown as
    ``-1``, and ``a[/b]`` would raise. Styles are those of ``Text`` objects.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        """Render a text whose control characters are replaced."""
        return super().render_str(clean(text), **options)


def clean(text: str) -> str:
    """Replace the control characters of a text, except line breaks and tabs."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


console = PlainConsole()

#: Connections to servers, closed when the command ends.
opened = ExitStack()

_Settings = TypeVar("_Settings", bound=Record)


def use_device(name: str) -> None:
    """Compute on a device, in this process and in those it starts."""
    from nextrung.settings import MachineSettings, choose_device

    choose_device(name)
    os.environ["NEXTRUNG_DEVICE"] = name
    MachineSettings()  # invalid variables are reported before anything is computed


def validate_options(record: type[_Settings], **options: Any) -> _Settings:  # noqa: ANN401
    """Make settings of options that have the names of their fields."""
    try:
        return record(**options)
    except ValidationError as error:
        raise InputError(describe_invalid(error, _name_option)) from error


def describe_invalid(error: ValidationError, name: Callable[[str], str]) -> str:
    """Describe the first invalid value in one line."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if not first["loc"]:
        return message
    return f"{name(str(first['loc'][-1]))}: {message}, got {quote(first['input'])}"


def _name_option(field: str) -> str:
    """Name the option of a field."""
    return f"--{field.replace('_', '-')}"


def open_run(root: Path | None, name: str) -> JobStore:
    """Make the run folder that this process works in, and open its store."""
    from nextrung.adapters.stores.job_store import make_embedded_store

    folder = (root or Path("runs") / name).resolve()
    os.environ["NEXTRUNG_ROOT"] = str(folder)
    try:
        return make_embedded_store(folder)
    except OSError as error:
        raise InputError(
            f"--root: expected a run folder that can be written, got {folder}: "
            f"{error.strerror}"
        ) from error


def locate_study(
    where: str, study: str | None = None, config: Path | None = None
) -> tuple[JobStore, str | None]:
    """Open the store that a run folder or the name of a study points to."""
    from nextrung.adapters.stores.job_store import CONFIG_VARIABLE, open_embedded_store

    folder = Path(where)
    if folder.is_dir() or os.sep in where or where.startswith("."):
        store = open_embedded_store(folder)
        os.environ["NEXTRUNG_ROOT"] = str(folder.resolve())
        return store, study
    if config is None and not os.environ.get(CONFIG_VARIABLE):
        raise InputError(
            f"expected a run folder, or the name of a study on a cluster, got {where}: "
            f"there is no run folder {where} here; for a study on a cluster, source "
            "env.sh of the cluster's configuration folder, or give that folder: -c DIR"
        )
    try:
        return open_cluster_store(config), where
    except InputError as error:
        raise InputError(f"no run folder {where} here; on the cluster, {error}") from (
            error
        )


def open_cluster_store(config: Path | None) -> JobStore:
    """Open the job store of a cluster until the command ends."""
    from nextrung.adapters.stores.job_store import (
        close_store,
        open_configured_store,
        open_store_file,
    )

    if config is None:
        store = open_configured_store()
    else:
        store = open_store_file(config.expanduser() / "jobflow.yaml")
    opened.callback(close_store, store)
    return store


def count_jobs(flow: Flow) -> int:
    """Count the jobs of a flow and of the flows in it."""
    from jobflow import Job

    return sum(
        1 if isinstance(member, Job) else count_jobs(member) for member in flow.jobs
    )


def run_flow(flow: Flow, store: JobStore) -> None:
    """Run a flow and show its progress; independent jobs go on where one fails."""
    from jobflow import run_locally

    from nextrung.cli.progress import JobProgress

    with JobProgress(console, count_jobs(flow)) as progress, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some jobs are not connected")  # by intent
        run_locally(flow, store=store, log=False)
    console.print(progress.summary)
    if progress.failures:
        raise progress.failures[0]


def describe_counts(n_seen: int, n_kept: int, n_rejected: Mapping[Rule, int]) -> None:
    """Print how many frames and files were seen, kept and rejected, by rule."""
    counts = {str(rule): count for rule, count in n_rejected.items() if count}
    listed = ", ".join(f"{rule} {count}" for rule, count in counts.items())
    console.print(
        f"{n_seen} frames or unreadable files: {n_kept} kept, "
        f"{sum(counts.values())} left out" + (f": {listed}" if listed else "")
    )


def describe_files(files: FileCounts | None) -> None:
    """Print how many files of a folder were read, and what the others are."""
    if files is not None:
        console.print(
            f"{files.n_files} files: {files.n_read} read as a run, "
            f"{files.n_unreadable} unreadable, {files.n_second} second outputs of a "
            f"run, {files.n_other} of other kinds"
        )
