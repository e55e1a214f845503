"""Documents of a maggma store that a file describes; no study holds its password."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from jobflow import JobStore
from maggma.core import StoreError
from maggma.stores import Store
from monty.json import MontyDecoder
from monty.serialization import loadfn
from pymongo.errors import PyMongoError

from nextrung.adapters.files.paths import expand_path
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

#: What tells the versions of a document apart.
IDENTITY = ("uuid", "index", "task_id", "completed_at", "last_updated")


class StoredDocument(NamedTuple):
    """Where a document is, and what it belongs to.

    Attributes
    ----------
    group : str
        Documents of one group come together.
    version : tuple of str
        Changes whenever the document does, as far as the store says.
    place : object
        The database's own name of it.
    """

    group: str
    version: tuple[str, ...]
    place: Any


@contextmanager
def open_store(written: str) -> Iterator[Store]:
    """Connect to the store that a file describes.

    Parameters
    ----------
    written : str
        Path of the file as the study writes it. It may be a ``jobflow.yaml``, the keys
        of a job store, those of one store with its ``type``, or what monty has written.

    Yields
    ------
    Store
        The store, connected; closed on leaving the block.

    Raises
    ------
    InputError
        If the file is missing or describes no store, or the store does not answer.
    """
    path = expand_path(written)
    store = _build(path)
    try:
        store.connect()
        yield store
    except (PyMongoError, StoreError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"expected the store of {path} to answer, got: {reason}"
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
    """List documents without reading them, the last of each job only.

    Parameters
    ----------
    store : Store
        A connected store.
    query : mapping
        Which documents, as for Mongo.
    fields : sequence of str
        What is needed to tell the groups of documents.
    find_group : callable
        Names the group of a document that has only these fields.

    Returns
    -------
    list of StoredDocument
        The documents, group by group, in the order in which they were completed.
    """
    newest: dict[Any, tuple[int, StoredDocument]] = {}
    for document in store.query(dict(query), properties=[*IDENTITY, *fields]):
        place = document["_id"]
        version = tuple(str(document.get(key, "")) for key in reversed(IDENTITY))
        listed = StoredDocument(find_group(document), version, place)
        job, index = document.get("uuid", place), int(document.get("index") or 0)
        if job not in newest or newest[job][0] < index:
            newest[job] = index, listed
    return sorted((listed for _, listed in newest.values()), key=lambda d: d[:2])


def stream_groups(
    store: Store, documents: Sequence[StoredDocument]
) -> Iterator[list[dict[str, Any]]]:
    """Read listed documents, those of one group at a time.

    Parameters
    ----------
    store : Store
        A connected store.
    documents : sequence of StoredDocument
        What :func:`list_documents` has found.

    Yields
    ------
    list of dict
        The documents of a group, in order.

    Raises
    ------
    InputError
        If a document is gone.
    """
    for group, listed in groupby(documents, key=lambda document: document.group):
        found = [store.query_one({"_id": document.place}) for document in listed]
        if None in found:
            raise InputError(f"expected the documents of {group}, got one deleted")
        yield found


def digest_documents(documents: Sequence[StoredDocument]) -> str:
    """Hash what tells a change of the documents, without reading them.

    Parameters
    ----------
    documents : sequence of StoredDocument
        What :func:`list_documents` has found.

    Returns
    -------
    str
        Hash of their groups and versions.
    """
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"{document.group}\0{document.version}\n".encode())
    return digest.hexdigest()


def _build(path: Path) -> Store:
    """Make the store; what is wrong is not repeated, for it may be a password."""
    try:
        described = loadfn(path)
        if isinstance(described, dict) and "JOB_STORE" in described:
            described = described["JOB_STORE"]
            if isinstance(described, str):
                return _build(expand_path(described))
        if isinstance(described, dict):
            described = _interpret(described)
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


def _interpret(described: dict[str, Any]) -> object:
    """Make what keys describe: a job store, one store by its type, or monty's."""
    if "@class" in described:
        return MontyDecoder().process_decoded(described)
    if "docs_store" in described:
        return JobStore.from_dict_spec(described)
    return JobStore.from_dict_spec({"docs_store": described}).docs_store
