"""UUIDs of jobs and flows, and fingerprints of documents.

A uuid is a hash of settings and references, so it is known before anything runs. A
fingerprint is a hash of settings, of the input documents, and of the version of the
algorithm of the stage. Versions of packages are stored and are no part of it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from jobflow import Maker, OutputReference
from pydantic import BaseModel

from nextrung.schemas.base import TaskDoc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Fields of Makers that change no result.
_METADATA = {"name", "task_document_kwargs"}

#: Namespace of the uuids of this package.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "nextrung")


@runtime_checkable
class ReadsFiles(Protocol):
    """A Maker whose document depends on files as well as on its settings."""

    def digest_files(self) -> str:
        """Hash the files, so that changed files are computed anew."""
        ...


def fingerprint_of(maker: Maker, inputs: Sequence[Any]) -> str:
    """Hash the settings, inputs and algorithm that determine a document.

    Parameters
    ----------
    maker : Maker
        Maker of the job; every field but name and metadata is hashed.
    inputs : sequence
        Resolved inputs; a document is hashed as its own fingerprint and the hashes of
        its files, which may differ where it was computed again.

    Returns
    -------
    str
        Hexadecimal SHA-256.
    """
    files = maker.digest_files() if isinstance(maker, ReadsFiles) else None
    algorithm = getattr(maker, "algorithm", None)
    return _digest([_maker_fields(maker), list(inputs), files, algorithm])


def identify(maker: Maker, inputs: Sequence[Any]) -> str:
    """Derive the uuid of a job from its Maker and its inputs.

    Parameters
    ----------
    maker : Maker
        Maker of the job.
    inputs : sequence
        Inputs; a reference is hashed as the uuid and the field it points to.

    Returns
    -------
    str
        UUID, the same for the same settings and inputs.
    """
    return str(uuid.uuid5(_NAMESPACE, _digest([_maker_fields(maker), list(inputs)])))


def identify_flow(name: str, uuids: Sequence[str]) -> str:
    """Derive the uuid of a flow from its name and its jobs.

    Parameters
    ----------
    name : str
        Name of the flow.
    uuids : sequence of str
        UUIDs of its jobs and flows.

    Returns
    -------
    str
        UUID, the same for the same name and jobs.
    """
    return str(uuid.uuid5(_NAMESPACE, _digest([name, list(uuids)])))


def name_parents(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Look up the fingerprints of the input documents.

    Parameters
    ----------
    inputs : mapping of str to object
        Resolved inputs of a job, by parameter.

    Returns
    -------
    dict of str to str
        Fingerprint of each document, by its parameter and its key or index in it.
    """
    parents: dict[str, str] = {}
    for name, value in inputs.items():
        parents |= _fingerprints(name, value)
    return parents


def look_up_versions(packages: Sequence[str]) -> dict[str, str]:
    """Look up installed versions of packages.

    Parameters
    ----------
    packages : sequence of str
        Names of installed packages.
    """
    return {package: version(package) for package in packages}


def _maker_fields(maker: Maker) -> dict[str, Any]:
    """Return the class of a Maker and all its fields that determine results."""
    kind = type(maker)
    settings = {
        entry.name: getattr(maker, entry.name)
        for entry in fields(maker)
        if entry.name not in _METADATA
    }
    return {"maker": f"{kind.__module__}.{kind.__qualname__}", **settings}


def _digest(value: Any) -> str:  # noqa: ANN401
    """Hash nested plain values, records, Makers and references."""
    plain = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(plain.encode()).hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Reduce an object to plain values, for :func:`json.dumps`."""
    if isinstance(value, TaskDoc):
        files = [artifact.sha256 for artifact in value.artifacts]
        return [value.provenance.fingerprint, *files]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, OutputReference):
        return [value.uuid, value.attributes]
    return _maker_fields(value)


def _fingerprints(name: str, value: Any) -> Mapping[str, str]:  # noqa: ANN401
    """List the fingerprints of one input: a document, or nested documents."""
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
