"""What tells a job from every other: its uuid, and the fingerprint of its answer.

A uuid follows from settings and references, so it is known before anything runs. A
fingerprint follows from settings, from what the inputs are, and from the versions of
the packages that decide about numbers.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from jobflow import Flow, Maker, OutputReference
from pydantic import BaseModel

from nextrung.schemas.base import TaskDoc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobflow import Job

#: Packages whose version is part of a fingerprint: a new one is a new computation.
DECISIVE_PACKAGES = ("chgnet", "nextrung", "torch")

#: Names of the uuids of this package.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "nextrung")


@runtime_checkable
class ReadsFiles(Protocol):
    """A Maker whose document depends on files, not on its settings alone."""

    def digest_files(self) -> str:
        """Hash the files, so that a change of them is a new computation."""
        ...


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
    files = maker.digest_files() if isinstance(maker, ReadsFiles) else None
    versions = look_up_versions(DECISIVE_PACKAGES)
    return _digest([_describe(maker), list(inputs), files, versions])


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


def make_flow(
    jobs: Sequence[Job | Flow],
    output: OutputReference | list[OutputReference],
    name: str,
) -> Flow:
    """Make a flow whose uuid follows from its name and its jobs.

    Parameters
    ----------
    jobs : sequence of Job or Flow
        Members, in no other flow yet.
    output : OutputReference or list of OutputReference
        Output of the flow.
    name : str
        Name of the flow.

    Returns
    -------
    Flow
        The flow, the same for the same members.
    """
    members = [member.uuid for member in jobs]
    flow_uuid = str(uuid.uuid5(_NAMESPACE, _digest([name, members])))
    return Flow(list(jobs), output=output, name=name, uuid=flow_uuid)


def name_parents(make: Callable[..., Any], inputs: Sequence[Any]) -> dict[str, str]:
    """Name the fingerprints of the input documents by their parameters.

    Parameters
    ----------
    make : callable
        Method of a Maker that takes them.
    inputs : sequence
        Resolved inputs.

    Returns
    -------
    dict of str to str
        Fingerprint of each document, by parameter and place in it.
    """
    names = make.__code__.co_varnames[1:]
    parents: dict[str, str] = {}
    for name, value in zip(names, inputs, strict=False):
        parents |= _fingerprints(name, value)
    return parents


def look_up_versions(packages: Sequence[str]) -> dict[str, str]:
    """Look up installed versions.

    Parameters
    ----------
    packages : sequence of str
        Names of installed packages.

    Returns
    -------
    dict of str to str
        Version of each.
    """
    return {package: version(package) for package in packages}


def _describe(maker: Maker) -> dict[str, Any]:
    """Name a Maker's class and every field that shapes its document."""
    kind = type(maker)
    settings = {
        entry.name: getattr(maker, entry.name)
        for entry in fields(maker)
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


def _fingerprints(name: str, value: Any) -> Mapping[str, str]:  # noqa: ANN401
    """List the fingerprints of one input: a document or a nest of them."""
    if isinstance(value, TaskDoc):
        return {name: value.provenance.fingerprint}
    if isinstance(value, BaseModel):  # a plan names the documents it was made from
        return getattr(value, "parents", {})
    items: list[tuple[object, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    found: dict[str, str] = {}
    for key, item in items:
        found |= _fingerprints(f"{name} {key}", item)
    return found
