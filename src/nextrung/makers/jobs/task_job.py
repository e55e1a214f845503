"""The one decorator every job of the package goes through.

A job of this package has a uuid derived from its settings and its inputs, so the same
study always makes the same uuids. Before it computes anything it looks its fingerprint
up in the job store: what is already answered is returned as it stands. This is how a
killed run resumes, locally and on a cluster.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, wraps
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output
from typing import TYPE_CHECKING, Any

import torch
from jobflow import CURRENT_JOB, JobConfig, Maker, job
from monty.json import jsanitize

from nextrung.adapters.files.locks import hold_lock
from nextrung.adapters.stores.job_store import CONFIG_VARIABLE, keeps_documents
from nextrung.adapters.stores.write_retries import keep_trying, make_patient
from nextrung.makers.jobs.fingerprints import (
    DECISIVE_PACKAGES,
    fingerprint_of,
    identify,
    look_up_versions,
    name_parents,
)
from nextrung.makers.jobs.inputs import resolve_without_rows
from nextrung.makers.jobs.termination import end_when_terminated
from nextrung.schemas.base import InputError, Provenance, TaskDoc
from nextrung.settings import MachineSettings, choose_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobflow import Job, JobStore

logger = logging.getLogger("nextrung")

#: Packages whose version is stored with a result.
TRACKED_PACKAGES = (
    *DECISIVE_PACKAGES,
    "ase",
    "jobflow",
    "lightning",
    "numpy",
    "pymatgen",
    "scipy",
)


class JobState(StrEnum):
    """What became of a job, as it is logged."""

    STARTED = "started"
    ANSWERED = "answered from the store"
    DONE = "done"
    FAILED = "failed"


@dataclass(kw_only=True)
class StageMaker(Maker):
    """A Maker whose settings are records.

    Parameters
    ----------
    name : str
        Name of what is made.
    """

    name: str = "stage"

    def as_dict(self) -> dict[str, Any]:
        """Describe the Maker in plain JSON, its records included.

        Maker leaves records as they are, and FireWorks then stores their ``str()``.

        Returns
        -------
        dict
            Plain values that :class:`monty.json.MontyDecoder` turns into the Maker.
        """
        plain: dict[str, Any] = jsanitize(
            super().as_dict(), strict=True, enum_values=True
        )
        return plain


@dataclass
class _Running:
    """The job that runs now, and its folder once it has one to itself."""

    fingerprint: str
    parents: dict[str, str]
    started: float
    folder: Path | None = None
    locked: ExitStack = field(default_factory=ExitStack)


_RUNNING: ContextVar[_Running] = ContextVar("running job")


class Reading(StrEnum):
    """What a job is given of the documents it refers to."""

    WHOLE = "whole"
    WITHOUT_ROWS = "without rows"


def task_job(
    schema: type[TaskDoc] | None = None,
    *,
    rows: Sequence[str] = (),
    reading: Reading = Reading.WHOLE,
) -> Callable[[Callable[..., Any]], Callable[..., Job]]:
    """Turn a Maker's ``make`` into a job that is computed at most once.

    Parameters
    ----------
    schema : type of TaskDoc, optional
        Document the job returns; None for a job that only plans others, which runs
        again whenever its flow does.
    rows : sequence of str
        Fields that go to the additional store ``data``.
    reading : Reading
        Whether fields of input documents that lie there are loaded, or left empty.

    Returns
    -------
    callable
        A decorator of methods of Makers that take positional inputs.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., Job]:
        options: dict[str, Any] = {"data": list(rows)} if rows else {}
        make_job = job(
            _answered_once(make, schema),
            output_schema=schema,
            config=JobConfig(
                expose_store=True, resolve_references=reading is Reading.WHOLE
            ),
            **options,
        )

        @wraps(make_job)
        def make_identified_job(maker: Maker, *inputs: Any) -> Job:  # noqa: ANN401
            made = make_job(maker, *inputs)
            made.set_uuid(identify(maker, inputs))
            return made

        make_identified_job.original = make_job.original  # type: ignore[attr-defined]
        return make_identified_job

    return decorate


def _answered_once(
    make: Callable[..., Any], schema: type[TaskDoc] | None
) -> Callable[..., Any]:
    """Wrap ``make`` so that it returns the stored answer where there is one."""

    @wraps(make)
    def answer(maker: StageMaker, *inputs: Any) -> Any:  # noqa: ANN401
        try:
            _validate_worker()
            return _find_or_make(maker, resolve_without_rows(inputs, CURRENT_JOB.store))
        except Exception as error:
            _announce(JobState.FAILED, error=error)
            raise

    def _find_or_make(maker: StageMaker, inputs: Sequence[Any]) -> Any:  # noqa: ANN401
        """Look the answer up; compute it where there is none."""
        make_patient(CURRENT_JOB.store)
        fingerprint = fingerprint_of(maker, inputs)
        stored = schema and _find_answer(CURRENT_JOB.store, fingerprint)
        if schema and stored:
            _announce(JobState.ANSWERED)
            return schema.model_validate(stored)
        running = _Running(fingerprint, name_parents(make, inputs), time.perf_counter())
        token = _RUNNING.set(running)
        _announce(JobState.STARTED)
        try:
            with end_when_terminated(), running.locked:
                made = make(maker, *inputs)
        finally:
            _RUNNING.reset(token)
        _announce(JobState.DONE, seconds=time.perf_counter() - running.started)
        return made

    return answer


def _validate_worker() -> None:
    """Refuse to compute on a worker that would keep nothing."""
    if "fw_id" not in CURRENT_JOB.job.metadata:
        return
    if not keeps_documents(CURRENT_JOB.store):
        raise InputError(
            f"expected ${CONFIG_VARIABLE} to name the jobflow.yaml of this worker, "
            f"got {os.environ.get(CONFIG_VARIABLE)}: results would be lost"
        )
    root = MachineSettings().root
    if not root.is_absolute():
        raise InputError(
            f"expected $NEXTRUNG_ROOT to be an absolute path on this worker, got "
            f"{root}: artifacts would be lost"
        )


def _announce(state: JobState, **details: object) -> None:
    """Log what became of the current job; ``nextrung run`` listens."""
    name = CURRENT_JOB.job.name
    logger.info("%s: %s", name, state, extra={"state": state, "job": name, **details})


def report_progress(done: int, total: int, text: str = "") -> None:
    """Log how far the running job is; ``nextrung run`` shows a bar.

    Parameters
    ----------
    done : int
        Steps done.
    total : int
        Steps to do.
    text : str
        What to show beside the bar.
    """
    progress = {"done": done, "total": total, "text": text}
    logger.debug("%s", text, extra={"job": CURRENT_JOB.job.name, "progress": progress})


def _find_answer(store: JobStore, fingerprint: str) -> dict[str, Any] | None:
    """Look a fingerprint up among the stored documents."""
    wanted = {"output.provenance.fingerprint": fingerprint}
    try:
        found = keep_trying(lambda: store.query_one(wanted, ["output"], load=True))
    except KeyError:  # the database went away between a document and its arrays
        logger.warning("%s: stored without its arrays", CURRENT_JOB.job.name)
        return None
    return None if found is None else found["output"]


def provenance() -> Provenance:
    """Describe the running job, from its start until now."""
    running = _RUNNING.get()
    return Provenance(
        fingerprint=running.fingerprint,
        parents=running.parents,
        versions=look_up_versions(TRACKED_PACKAGES),
        git_commit=_git_commit(),
        host=platform.node(),
        device=_device_name(),
        partition=os.environ.get("SLURM_JOB_PARTITION"),
        queue_job=os.environ.get("SLURM_JOB_ID"),
        visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
        completed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_time=time.perf_counter() - running.started,
    )


def work_folder() -> Path:
    """Make the folder in which the running job keeps unfinished work.

    Returns
    -------
    Path
        Folder named by the fingerprint: a rerun of the same job finds it again. It is
        this job's until it ends; a rerun that starts too early waits here.
    """
    running = _RUNNING.get()
    if running.folder is None:
        folder = MachineSettings().work / running.fingerprint[:32]
        folder.mkdir(parents=True, exist_ok=True)
        running.locked.enter_context(hold_lock(folder / "lock"))
        running.folder = folder
    return running.folder


@cache
def _git_commit() -> str | None:
    """Name the commit of the checkout this package runs from, if it is one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        commit = check_output(command, stderr=DEVNULL, text=True)  # noqa: S603 - fixed
    except (OSError, CalledProcessError):
        return None
    return commit.strip()


@cache
def _device_name() -> str:
    """Name the accelerator or the processor jobs run on."""
    device = choose_device(MachineSettings().device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
