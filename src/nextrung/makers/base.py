"""The one decorator every job of the package goes through.

A job of this package has a uuid derived from its settings and its inputs, so the same
study always makes the same uuids. Before it computes anything it looks its fingerprint
up in the job store: what is already answered is returned as it stands. This is how a
killed run resumes, locally and on a cluster.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache, wraps
from importlib.metadata import version
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output
from typing import TYPE_CHECKING, Any

import torch
from jobflow import CURRENT_JOB, JobConfig, OutputReference, job
from pydantic import BaseModel

from nextrung.schemas.base import Provenance, TaskDoc
from nextrung.settings import MachineSettings, choose_device

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobflow import Flow, Job, JobStore, Maker

logger = logging.getLogger("nextrung")

#: Packages whose version is part of a fingerprint: a new one is a new computation.
DECISIVE_PACKAGES = ("chgnet", "nextrung", "torch")

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

#: Names of the uuids of this package.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "nextrung")


@dataclass(frozen=True)
class _Running:
    """The job that runs now."""

    fingerprint: str
    parents: dict[str, str]
    started: float


_RUNNING: ContextVar[_Running] = ContextVar("running job")


def task_job(
    schema: type[TaskDoc] | None = None, *, rows: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Job]]:
    """Turn a Maker's ``make`` into a job that is computed at most once.

    Parameters
    ----------
    schema : type of TaskDoc, optional
        Document the job returns; None for a job that only plans others, which runs
        again whenever its flow does.
    rows : sequence of str
        Fields that go to the additional store ``data``.

    Returns
    -------
    callable
        A decorator of methods of Makers.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., Job]:
        options: dict[str, Any] = {"data": list(rows)} if rows else {}
        make_job = job(
            _answered_once(make, schema),
            output_schema=schema,
            config=JobConfig(expose_store=True),
            **options,
        )

        @wraps(make_job)
        def make_identified_job(*args: Any, **kwargs: Any) -> Job:  # noqa: ANN401
            made = make_job(*args, **kwargs)
            made.set_uuid(identify(made.maker, made.function_args))
            return made

        make_identified_job.original = make_job.original  # type: ignore[attr-defined]
        return make_identified_job

    return decorate


def _answered_once(
    make: Callable[..., Any], schema: type[TaskDoc] | None
) -> Callable[..., Any]:
    """Wrap ``make`` so that it returns the stored answer where there is one."""

    @wraps(make)
    def answer(maker: Maker, *inputs: Any) -> Any:  # noqa: ANN401
        fingerprint = fingerprint_of(maker, inputs)
        name = CURRENT_JOB.job.name
        stored = schema and _find_answer(CURRENT_JOB.store, fingerprint)
        if schema and stored:
            logger.info("%s: answered from the store", name)
            return schema.model_validate(stored)
        running = _Running(fingerprint, _parents(make, inputs), time.perf_counter())
        token = _RUNNING.set(running)
        try:
            return make(maker, *inputs)
        finally:
            _RUNNING.reset(token)

    return answer


def _find_answer(store: JobStore, fingerprint: str) -> dict[str, Any] | None:
    """Look a fingerprint up among the stored documents."""
    found = store.query_one(
        {"output.provenance.fingerprint": fingerprint}, ["output"], load=True
    )
    return None if found is None else found["output"]


def fingerprint_of(maker: Maker, inputs: Sequence[Any]) -> str:
    """Hash what determines the document of a job.

    Parameters
    ----------
    maker : Maker
        Maker of the job; all its fields but the name count.
    inputs : sequence
        Resolved inputs; a document counts as its own fingerprint.

    Returns
    -------
    str
        Hexadecimal SHA-256 of settings, inputs and versions of decisive packages.
    """
    return _digest([_describe(maker), list(inputs), _versions(DECISIVE_PACKAGES)])


def identify(maker: Maker, inputs: Sequence[Any]) -> str:
    """Derive the uuid of a job from its Maker and its inputs.

    Parameters
    ----------
    maker : Maker
        Maker of the job.
    inputs : sequence
        Inputs; references count as the uuid and the field they point to.

    Returns
    -------
    str
        UUID, the same for the same settings and inputs.
    """
    return str(uuid.uuid5(_NAMESPACE, _digest([_describe(maker), list(inputs)])))


def identified(flow: Flow) -> Flow:
    """Give a flow the uuid that follows from its name and its jobs.

    Parameters
    ----------
    flow : Flow
        A flow that is in no other flow yet.

    Returns
    -------
    Flow
        The same flow.
    """
    members = [member.uuid for member in flow.jobs]
    old = flow.uuid
    flow.uuid = str(uuid.uuid5(_NAMESPACE, _digest([flow.name, members])))
    for member in flow.jobs:
        member.hosts[:] = [flow.uuid if host == old else host for host in member.hosts]
    return flow


def provenance() -> Provenance:
    """Describe the running job, from its start until now."""
    running = _RUNNING.get()
    return Provenance(
        fingerprint=running.fingerprint,
        parents=running.parents,
        versions=_versions(TRACKED_PACKAGES),
        git_commit=_git_commit(),
        host=platform.node(),
        device=_device_name(),
        completed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_time=time.perf_counter() - running.started,
    )


def campaign_folder() -> Path:
    """Make the folder in which the running job keeps unfinished work.

    Returns
    -------
    Path
        Folder named by the fingerprint: a rerun of the same job finds it again.
    """
    folder = MachineSettings().campaigns / _RUNNING.get().fingerprint[:32]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _describe(maker: Maker) -> dict[str, Any]:
    """Name a Maker's class and every field that shapes its document."""
    kind = type(maker)
    settings = {
        entry.name: getattr(maker, entry.name)
        for entry in fields(maker)  # type: ignore[arg-type]
        if entry.name != "name"
    }
    return {"maker": f"{kind.__module__}.{kind.__qualname__}", **settings}


def _digest(value: Any) -> str:  # noqa: ANN401
    """Hash a nest of plain values, records, Makers and references."""
    plain = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(plain.encode()).hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Reduce an object to what tells it from others, for :func:`json.dumps`."""
    if isinstance(value, TaskDoc):
        return value.provenance.fingerprint
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, OutputReference):
        return [value.uuid, value.attributes]
    return _describe(value)


def _parents(make: Callable[..., Any], inputs: Sequence[Any]) -> dict[str, str]:
    """Name the fingerprints of the input documents by their parameters."""
    names = make.__code__.co_varnames[1:]
    parents: dict[str, str] = {}
    for name, value in zip(names, inputs, strict=False):
        parents |= _fingerprints(name, value)
    return parents


def _fingerprints(name: str, value: Any) -> Mapping[str, str]:  # noqa: ANN401
    """List the fingerprints of one input: a document or a nest of them."""
    if isinstance(value, TaskDoc):
        return {name: value.provenance.fingerprint}
    items: list[tuple[object, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    found: dict[str, str] = {}
    for key, item in items:
        found |= _fingerprints(f"{name} {key}", item)
    return found


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """Look up installed versions."""
    return {package: version(package) for package in packages}


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
