"""The decorator of all jobs of this package.

A job has a uuid derived from its settings and its inputs, so the same study always
makes the same uuids. Before it computes anything it looks its fingerprint up in the job
store, and returns the stored document where there is one. This is how an interrupted
run resumes, locally and on a cluster.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, wraps
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output
from typing import TYPE_CHECKING, Any

import torch
from jobflow import CURRENT_JOB, JobConfig, job

from nextrung.adapters.files.locks import hold_lock
from nextrung.adapters.stores.job_store import CONFIG_VARIABLE, keeps_documents
from nextrung.adapters.stores.running_jobs import RunningJobWriter
from nextrung.makers.jobs.fingerprints import (
    fingerprint_of,
    look_up_versions,
    name_parents,
)
from nextrung.makers.jobs.flow import bind_inputs, derive_uuid
from nextrung.makers.jobs.inputs import resolve_without_arrays
from nextrung.makers.jobs.stored_documents import find_document, recompute_token
from nextrung.makers.jobs.termination import exit_on_device_failure, raise_on_sigterm
from nextrung.potentials.catalogue import list_used_packages
from nextrung.potentials.devices import release_cached_memory
from nextrung.schemas.base import InputError, Provenance, TaskDoc
from nextrung.settings import MachineSettings, choose_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nextrung.makers.jobs.flow import TaskJob
    from nextrung.makers.jobs.stage_maker import StageMaker

logger = logging.getLogger("nextrung")

#: Packages whose versions are stored with a result, besides those of the families of
#: potentials that the job has loaded.
TRACKED_PACKAGES = (
    "ase",
    "jobflow",
    "lightning",
    "nextrung",
    "numpy",
    "pymatgen",
    "scipy",
    "torch",
)


class JobState(StrEnum):
    """State of a job, as it is logged."""

    STARTED = "started"
    ANSWERED = "answered from the store"
    DONE = "done"
    FAILED = "failed"


@dataclass
class _Running:
    """The running job, and its folder once it holds the lock of one."""

    schema: type[TaskDoc] | None
    fingerprint: str
    parents: dict[str, str]
    started: float
    processor: float
    writer: RunningJobWriter
    folder: Path | None = None
    locked: ExitStack = field(default_factory=ExitStack)


class _StoredMeanwhileError(Exception):
    """Another process has stored the document of the running job."""

    def __init__(self, document: TaskDoc) -> None:
        super().__init__("stored meanwhile")
        self.document = document


_RUNNING: ContextVar[_Running] = ContextVar("running job")


def task_job(
    *,
    output_schema: type[TaskDoc] | None = None,
    load: bool = True,
    **options: Any,  # noqa: ANN401
) -> Callable[[Callable[..., Any]], Callable[..., TaskJob]]:
    """Turn the ``make`` of a Maker into a job that is computed at most once.

    Parameters
    ----------
    output_schema : type of TaskDoc, optional
        Document the job returns; None for a job that only plans others, which runs
        again whenever its flow does.
    load : bool
        Whether fields of input documents that lie in additional stores are loaded, or
        left empty.
    **options : object
        Options of jobflow's ``job``, such as ``data``, which names the fields that go
        to that additional store.

    Returns
    -------
    callable
        A decorator of methods of Makers.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., TaskJob]:
        make_job = job(
            _compute_once(make, output_schema),
            output_schema=output_schema,
            config=JobConfig(expose_store=True, resolve_references=load),
            **options,
        )
        return derive_uuid(make_job)

    return decorate


def _compute_once(
    make: Callable[..., Any], schema: type[TaskDoc] | None
) -> Callable[..., Any]:
    """Wrap ``make`` so that it returns the stored document where there is one."""

    @wraps(make)
    @exit_on_device_failure()
    def find_or_make(maker: StageMaker, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            _validate_worker()
            CURRENT_JOB.job.metadata |= maker.task_document_kwargs.additional_fields
            inputs = bind_inputs(make, maker, *arguments, **options)
            resolved = resolve_without_arrays(inputs, CURRENT_JOB.store)
            fingerprint = fingerprint_of(maker, list(resolved.values()))
            stored = schema and find_document(schema, fingerprint)
            if stored:
                _log_state(JobState.ANSWERED)
                return stored
            with _running(schema, fingerprint, name_parents(resolved)):
                return make(maker, **resolved)
        except _StoredMeanwhileError as found:
            _log_state(JobState.ANSWERED)
            return found.document
        except Exception as error:
            _log_state(JobState.FAILED, error=error)
            raise

    return find_or_make


@contextmanager
def _running(
    schema: type[TaskDoc] | None, fingerprint: str, parents: dict[str, str]
) -> Iterator[None]:
    """Log the start and the end of the computation of a document."""
    writer = RunningJobWriter(
        CURRENT_JOB.store,
        uuid=CURRENT_JOB.job.uuid,
        name=CURRENT_JOB.job.name,
        host=platform.node(),
    )
    running = _Running(
        schema, fingerprint, parents, time.perf_counter(), _processor_time(), writer
    )
    token = _RUNNING.set(running)
    _log_state(JobState.STARTED)
    try:
        with raise_on_sigterm(), running.locked:
            yield
    finally:
        writer.remove()
        release_cached_memory()
        _RUNNING.reset(token)
    _log_state(JobState.DONE, seconds=time.perf_counter() - running.started)


def _validate_worker() -> None:
    """Raise on a worker of a LaunchPad whose results would be lost."""
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


def _log_state(state: JobState, **details: object) -> None:
    """Log the state of the current job, for the display of ``nextrung run``."""
    name = CURRENT_JOB.job.name
    logger.info("%s: %s", name, state, extra={"state": state, "job": name, **details})


def report_progress(done: int, total: int, text: str = "") -> None:
    """Report the progress of the running job to ``nextrung run`` and ``status``.

    Parameters
    ----------
    done : int
        Steps done.
    total : int
        Steps to do.
    text : str
        Text beside the progress bar.
    """
    progress = {"done": done, "total": total, "text": text}
    logger.debug("%s", text, extra={"job": CURRENT_JOB.job.name, "progress": progress})
    if (running := _RUNNING.get(None)) is not None:
        running.writer.write(done, total, text)


def provenance() -> Provenance:
    """Return the provenance of the running job, from its start until now."""
    running = _RUNNING.get()
    return Provenance(
        fingerprint=running.fingerprint,
        parents=running.parents,
        versions=look_up_versions(sorted({*TRACKED_PACKAGES, *list_used_packages()})),
        git_commit=_git_commit(),
        host=platform.node(),
        device=_device_name(),
        partition=os.environ.get("SLURM_JOB_PARTITION"),
        queue_job=os.environ.get("SLURM_JOB_ID"),
        visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
        completed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_time=time.perf_counter() - running.started,
        processor_time=max(0.0, _processor_time() - running.processor),
    )


def work_folder() -> Path:
    """Make the folder of unfinished work of the running job, and lock it.

    Returns
    -------
    Path
        Folder named by the fingerprint, so that a rerun of the same job resumes; one of
        its own for a job that is to be computed again. The lock is held until the job
        ends; a rerun that starts earlier waits for it, and ends with the document that
        the first has stored.
    """
    running = _RUNNING.get()
    if running.folder is None:
        folder = MachineSettings().work_of(running.fingerprint, recompute_token())
        running.locked.enter_context(hold_lock(folder / "lock"))
        schema = running.schema
        if schema and (stored := find_document(schema, running.fingerprint)):
            raise _StoredMeanwhileError(stored)
        running.folder = folder
    return running.folder


def _processor_time() -> float:
    """Sum the processor times of this process and of its ended children in s."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@cache
def _git_commit() -> str | None:
    """Return the git commit of this package, if it runs from a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        commit = check_output(command, stderr=DEVNULL, text=True)  # noqa: S603 - fixed
    except (OSError, CalledProcessError):
        return None
    return commit.strip()


@cache
def _device_name() -> str:
    """Return the name of the GPU, or the processor and number of threads."""
    device = choose_device(MachineSettings().device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
