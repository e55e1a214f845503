"""Job stores: embedded in a run folder, or described by a jobflow.yaml."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

from maggma.core import StoreError
from maggma.stores import MemoryStore

from nextrung.adapters.connections import describe_connection_error, limit_timeout
from nextrung.adapters.stores.embedded_store import EmbeddedStore
from nextrung.adapters.stores.insertion_order import SEQUENCE, insertion_key
from nextrung.adapters.stores.store_copy import copy_store, is_writable
from nextrung.adapters.stores.write_retries import RetryingJobStore
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jobflow import JobStore

#: Environment variable in which jobflow looks for its configuration.
CONFIG_VARIABLE = "JOBFLOW_CONFIG_FILE"

#: Folder of the embedded store below a run folder.
STORE_FOLDER = "store"

#: Documents of an embedded store above which commands take several seconds more, by
#: ``benchmarks/bench_store.py``.
MOST_DOCUMENTS = 500

#: Fields of the documents that queries filter on.
INDEXED_FIELDS = (
    "uuid",
    "name",
    "hosts",
    "metadata.study",
    "output.results.study",
    "output.provenance.fingerprint",
    "output.checkpoint.sha256",
    "output.plan.checkpoint.sha256",
    SEQUENCE,
)


def make_embedded_store(root: Path) -> JobStore:
    """Open the job store of a run folder, and create it where there is none.

    MontyDB stores documents and arrays in sqlite: safe with killed and concurrent
    writers, meant for hundreds of documents; a larger store is opened with a warning.

    Parameters
    ----------
    root : Path
        The run folder.

    Returns
    -------
    JobStore
        A connected store with the additional store ``data``.
    """
    folder = root / STORE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    docs, data = (
        EmbeddedStore(collection, database_path=str(folder))
        for collection in ("docs", "data")
    )
    if (n_documents := docs.count_rows()) > MOST_DOCUMENTS:
        warnings.warn(
            f"{folder} holds {n_documents:,} documents: above {MOST_DOCUMENTS:,}, "
            "commands are slow; keep further studies in other run folders, or in "
            "MongoDB (nextrung init)",
            stacklevel=2,
        )
    return _connected(RetryingJobStore(docs, additional_stores={"data": data}))


def open_embedded_store(root: Path) -> JobStore:
    """Open the existing job store of a run folder.

    Parameters
    ----------
    root : Path
        The run folder.

    Returns
    -------
    JobStore
        A connected store with the additional store ``data``; a temporary copy where
        this process may not write.

    Raises
    ------
    InputError
        If the folder holds no store, or one that cannot be read.
    """
    folder = root / STORE_FOLDER
    if not folder.is_dir():
        raise InputError(f"expected a run folder with a store, got no {folder}")
    if is_writable(folder):
        return make_embedded_store(root)
    copied = copy_store(folder)
    store = make_embedded_store(Path(copied.name))
    finalize(store, copied.cleanup)
    return store


def open_configured_store() -> JobStore:
    """Open the job store of the file that ``JOBFLOW_CONFIG_FILE`` names.

    jobflow falls back to a store in memory where that file is missing, and all
    results are lost; here it is an error.

    Returns
    -------
    JobStore
        A connected store with the additional store ``data``.

    Raises
    ------
    InputError
        If the variable is unset, the file is missing, or its store cannot be used.
    """
    name = os.environ.get(CONFIG_VARIABLE)
    if not name:
        raise InputError(
            f"expected ${CONFIG_VARIABLE} to name jobflow.yaml, got it unset"
        )
    if not Path(name).is_file():
        raise InputError(f"expected the file ${CONFIG_VARIABLE} names, got no {name}")
    return open_store_file(Path(name))


def open_store_file(file: Path) -> JobStore:
    """Open the job store that a ``jobflow.yaml`` describes.

    Parameters
    ----------
    file : Path
        The file.

    Returns
    -------
    JobStore
        A connected store with the additional store ``data``.

    Raises
    ------
    InputError
        If the file is missing or its store cannot be used.
    """
    if not file.is_file():
        raise InputError(f"expected a jobflow.yaml, got no {file}")
    from jobflow.settings import JobflowSettings  # noqa: PLC0415 - reads a file

    try:
        store = JobflowSettings(CONFIG_FILE=str(file)).JOB_STORE
    except Exception as error:  # of parsers, validators and constructors of stores
        reason = describe_connection_error(error)
        raise InputError(f"expected a JOB_STORE in {file}, got: {reason}") from error
    if "data" not in store.additional_stores:  # type: ignore[has-type]
        raise InputError(f"expected the additional store `data` in {file}, got none")
    for each in (store.docs_store, *store.additional_stores.values()):  # type: ignore[has-type]
        if hasattr(each, "mongoclient_kwargs"):
            limit_timeout(each.mongoclient_kwargs)
    return _connected(RetryingJobStore.wrap(store))


def _connected(store: JobStore) -> JobStore:
    """Connect a store; raise an error of one line where it cannot be reached."""
    try:
        store.connect()
        store.docs_store.count({"uuid": "any"})
    except Exception as error:  # drivers raise all kinds of exceptions
        with suppress(AttributeError):  # raised where nothing was opened
            close_store(store)
        reason = describe_connection_error(error)
        raise InputError(f"expected a store that answers, got: {reason}") from error
    return store


def close_store(store: JobStore) -> None:
    """Close a store, open or closed already.

    Parameters
    ----------
    store : JobStore
        The store; GridFS stores of maggma raise when they are closed twice.
    """
    with suppress(StoreError):
        store.close()  # type: ignore[no-untyped-call]


def keeps_documents(store: JobStore) -> bool:
    """Return whether a store keeps documents after this process.

    Parameters
    ----------
    store : JobStore
        A store.

    Returns
    -------
    bool
        False for the store in memory that jobflow uses without a configuration.
    """
    return type(store.docs_store) is not MemoryStore


def make_indexes(store: JobStore) -> list[str]:
    """Create the indexes that jobflow does not create.

    Parameters
    ----------
    store : JobStore
        A connected store.

    Returns
    -------
    list of str
        Indexed fields; none for embedded stores, which have no indexes.
    """
    try:
        made = [field for field in INDEXED_FIELDS if store.ensure_index(field)]
        for additional in store.additional_stores.values():  # type: ignore[has-type]
            additional.ensure_index("blob_uuid")
    except NotImplementedError:
        return []
    return made


def find_documents(
    store: JobStore, criteria: Mapping[str, Any], *, load: bool = False
) -> list[dict[str, Any]]:
    """Query documents, the newest index of each job only.

    Parameters
    ----------
    store : JobStore
        A connected store.
    criteria : mapping
        Mongo-style query.
    load : bool
        Whether arrays are fetched from the additional store.

    Returns
    -------
    list of dict
        Whole documents, in the order in which they were stored.
    """
    newest: dict[str, dict[str, Any]] = {}
    for document in store.query(dict(criteria), load=load):
        uuid = document["uuid"]
        if uuid not in newest or newest[uuid]["index"] < document["index"]:
            newest[uuid] = document
    return sorted(newest.values(), key=insertion_key)


def find_finished(store: JobStore, uuids: Collection[str]) -> dict[str, str | None]:
    """Find the jobs that have stored a document, with the error in it.

    Parameters
    ----------
    store : JobStore
        A connected store.
    uuids : collection of str
        Jobs to look for.

    Returns
    -------
    dict of str to str or None
        Error of a calculation that failed, by job; None for one that did not.
    """
    found = store.query({"uuid": {"$in": list(uuids)}}, ["uuid", "output.error"])
    return {
        document["uuid"]: (document.get("output") or {}).get("error")
        for document in found
    }
