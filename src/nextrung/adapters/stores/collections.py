"""Result collections beside the documents of jobs: opened, indexed, written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from maggma.stores import MontyStore
from monty.json import MontyDecoder
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from nextrung.schemas.base import InputError
from nextrung.schemas.stores.collections import KEYS, Collection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobflow import JobStore
    from maggma.stores import MongoStore

#: Collection that says from which documents the others were built.
BUILDER_STATE = "builds"

#: Indexes beside the one on the key; the first fields of each are asked for alone.
INDEXES: Mapping[Collection, tuple[tuple[str, ...], ...]] = {
    Collection.MODELS: (("checkpoint_sha256",),),
    Collection.METRICS: (("study", "split", "energy_mae"),),
    Collection.RESIDUALS: (("study", "model", "split", "energy_mae"),),
    Collection.RELAXATIONS: (
        ("study", "failed", "model"),
        ("study", "status", "model"),
        ("study", "elements"),
    ),
    Collection.STABILITY: (
        ("study", "model", "predicted_stable", "target_stable"),
        ("study", "chemical_system"),
    ),
    Collection.DENSITIES: (),
    Collection.SCALING: (),
    Collection.JOBS: (("study", "document", "wall_time"), ("fingerprint",)),
}


def describe_collection(store: JobStore, name: str) -> MongoStore:
    """Describe a collection beside the documents of jobs.

    Parameters
    ----------
    store : JobStore
        Documents of jobs.
    name : str
        Name of the collection.

    Returns
    -------
    MongoStore
        A store of the kind that holds the documents, not connected.

    Raises
    ------
    InputError
        If the documents themselves have the name of a result collection.
    """
    docs = store.docs_store
    if docs.collection_name == name:
        raise InputError(
            f"expected another collection than `{name}` for the documents of jobs, "
            "got it in JOB_STORE: results go there"
        )
    described = docs.as_dict() | {
        "collection_name": name,
        "key": "key" if name == BUILDER_STATE else "job_uuid",
        "last_updated_field": "completed_at",
        "last_updated_type": "isoformat",
    }
    collection: MongoStore = MontyDecoder().process_decoded(described)
    return collection


@contextmanager
def open_collection(store: JobStore, name: str) -> Iterator[MongoStore]:
    """Open a collection beside the documents of jobs, and close it afterwards.

    Parameters
    ----------
    store : JobStore
        Documents of jobs.
    name : str
        Name of the collection.

    Yields
    ------
    MongoStore
        A connected store of the kind that holds the documents.
    """
    collection = describe_collection(store, name)
    collection.connect()
    try:
        yield collection
    finally:
        collection.close()


def ensure_indexes(target: MongoStore, collection: Collection) -> None:
    """Make the indexes of a result collection; embedded stores know none.

    Parameters
    ----------
    target : MongoStore
        The collection, connected.
    collection : Collection
        Which one it is.
    """
    if isinstance(target, MontyStore):
        return
    raw = target._collection  # noqa: SLF001 - maggma makes indexes of one field alone
    raw.create_index([(name, 1) for name in KEYS[collection]], unique=True)
    for names in (("study", "job_uuid"), *INDEXES[collection]):
        if names != KEYS[collection]:
            raw.create_index([(name, 1) for name in names])


def replace_rows(
    target: MongoStore,
    rows: list[dict[str, Any]],
    entries: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str],
) -> None:
    """Write the rows of some documents in the place of those they succeed.

    Parameters
    ----------
    target : MongoStore
        The collection, connected.
    rows : list of dict
        Their rows.
    entries : sequence of mapping
        What tells all rows of one document from others: its study and job.
    key : sequence of str
        Fields that tell one row from another.
    """
    if not isinstance(target, MontyStore):
        writes = [
            ReplaceOne({n: row[n] for n in key}, row, upsert=True) for row in rows
        ]
        if writes:
            _write(target, writes)
        return
    remove_rows(target, {"$or": list(map(dict, entries))})  # an upsert scans all rows
    if rows:
        target._collection.insert_many(rows)  # noqa: SLF001 - as maggma itself


def _write(target: MongoStore, writes: list[ReplaceOne[dict[str, Any]]]) -> None:
    """Write as ``MongoStore.update``, which would sanitise plain rows first."""
    raw = target._collection  # noqa: SLF001
    try:
        raw.bulk_write(writes, ordered=False)
    except BulkWriteError:  # another builder inserted the same rows just now
        raw.bulk_write(writes, ordered=False)


def remove_rows(target: MongoStore, criteria: dict[str, Any]) -> None:
    """Remove rows; MontyDB cannot where a collection never had any.

    Parameters
    ----------
    target : MongoStore
        The collection, connected.
    criteria : dict
        Which rows.
    """
    if target.count(criteria):
        target.remove_docs(criteria)
