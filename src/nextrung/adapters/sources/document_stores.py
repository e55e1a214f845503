"""Documents of maggma stores; a file outside the study holds store and password."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import maggma.stores
from jobflow import JobStore
from maggma.core import StoreError
from maggma.stores import Store
from monty.json import MontyDecoder
from pymongo.errors import PyMongoError

from nextrung.adapters.connections import describe_connection_error
from nextrung.adapters.files.paths import expand_path
from nextrung.adapters.files.untrusted.msonable import load_plain, require_classes
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

#: Fields that identify a version of a document.
IDENTITY = ("uuid", "index", "task_id", "completed_at", "last_updated")

#: Classes that the file of a store may name.
_STORES = frozenset(
    f"{kind.__module__}.{kind.__name__}"
    for kind in (JobStore, *vars(maggma.stores).values())
    if isinstance(kind, type) and issubclass(kind, Store)
)


class StoredDocument(NamedTuple):
    """Group, version and database id of a stored document.

    Attributes
    ----------
    group : str
        Documents of one group are read together.
    version : tuple of str
        Values of the fields that identify its version.
    id : object
        Its id in the database.
    """

    group: str
    version: tuple[str, ...]
    id: Any


@contextmanager
def open_store(written: str) -> Iterator[Store]:
    """Open the store that a file describes, and close it after the block.

    Parameters
    ----------
    written : str
        Path of the file as in the study: a ``jobflow.yaml``, the keys of a job store,
        the keys of one store with its ``type``, or a store serialised by monty.

    Raises
    ------
    InputError
        If the file is missing or describes no store, or the store does not respond.
    """
    path = expand_path(written)
    store = _build(path)
    try:
        store.connect()
        yield store
    except (PyMongoError, StoreError, OSError) as error:
        raise InputError(
            f"expected the store of {path} to respond, got: "
            f"{describe_connection_error(error)}"
        ) from error
    finally:
        store.close()


def list_documents(
    store: Store,
    query: Mapping[str, Any],
    *,
    fields: Sequence[str],
    find_group: Callable[[Mapping[str, Any]], str],
) -> list[StoredDocument]:
    """List documents without their contents, only the newest index of each job.

    Parameters
    ----------
    store : Store
        A connected store.
    query : mapping
        Mongo-style query.
    fields : sequence of str
        Fields that find_group needs.
    find_group : callable
        Returns the group of a document that has only these fields.
    """
    newest: dict[Any, tuple[int, StoredDocument]] = {}
    for document in store.query(dict(query), properties=[*IDENTITY, *fields]):
        version = tuple(str(document.get(key, "")) for key in reversed(IDENTITY))
        listed = StoredDocument(find_group(document), version, document["_id"])
        job, index = document.get("uuid", listed.id), int(document.get("index") or 0)
        if job not in newest or newest[job][0] < index:
            newest[job] = index, listed
    return sorted((listed for _, listed in newest.values()), key=lambda d: d[:2])


def stream_groups(
    store: Store, documents: Sequence[StoredDocument]
) -> Iterator[list[dict[str, Any]]]:
    """Read listed documents, one group at a time and in order.

    Parameters
    ----------
    store : Store
        A connected store.
    documents : sequence of StoredDocument
        Documents of :func:`list_documents`.

    Raises
    ------
    InputError
        If a document was deleted.
    """
    for group, listed in groupby(documents, key=lambda document: document.group):
        found = [store.query_one({"_id": document.id}) for document in listed]
        if None in found:
            raise InputError(f"expected the documents of {group}, got one deleted")
        yield found


def digest_documents(documents: Sequence[StoredDocument]) -> str:
    """Hash the groups and versions of documents, without reading their contents.

    Parameters
    ----------
    documents : sequence of StoredDocument
        Documents of :func:`list_documents`.
    """
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"{document.group}\0{document.version}\n".encode())
    return digest.hexdigest()


def _build(path: Path) -> Store:
    """Build the store; errors do not quote the file, which may hold a password."""
    try:
        described = _load_quietly(path)
        require_classes(described, _STORES, path)
        if isinstance(described, dict) and "JOB_STORE" in described:
            described = described["JOB_STORE"]
            if isinstance(described, str):
                return _build(expand_path(described))
        if isinstance(described, dict):
            described = _parse(described)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"expected the description of a store, got {type(error).__name__} while "
            f"reading {path}"
        ) from error
    if not isinstance(described, Store):
        raise InputError(f"expected the description of a store, got another in {path}")
    return described


def _load_quietly(path: Path) -> object:
    """Read the description; the error of a parser would quote it."""
    try:
        return load_plain(path)
    except InputError as error:
        raise InputError(
            f"expected the description of a store, got {type(error.__cause__).__name__}"
            f" while reading {path}"
        ) from None


def _parse(described: dict[str, Any]) -> object:
    """Build a job store, one store by its type, or one serialised by monty."""
    if "@class" in described:
        return MontyDecoder().process_decoded(described)
    if "docs_store" in described:
        return JobStore.from_dict_spec(described)
    return JobStore.from_dict_spec({"docs_store": described}).docs_store
