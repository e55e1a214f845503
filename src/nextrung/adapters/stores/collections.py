"""Result collections beside the documents of jobs: access, indexes and writes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from maggma.stores import MontyStore
from monty.json import MontyDecoder
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from nextrung.schemas.base import InputError
from nextrung.schemas.stores.collections import KEYS, Collection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobflow import JobStore
    from maggma.stores import MongoStore

#: Collection of the source versions of all rows.
BUILDER_STATE = "builds"

#: Indexes other than the unique key; queries may use a prefix of each.
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
    Collection.PHYSICS: (("study", "measure", "passed"),),
    Collection.SCALING: (),
    Collection.BENCHMARKS: (("study", "property", "deviation"),),
    Collection.JOBS: (("study", "document", "wall_time"), ("fingerprint",)),
}


def describe_collection(store: JobStore, name: str) -> MongoStore:
    """Return a store, not connected, of a collection in the database of the documents.

    Parameters
    ----------
    store : JobStore
        Documents of jobs.
    name : str
        Name of the collection.

    Raises
    ------
    InputError
        If the collection of the documents has the name of a result collection.
    """
    docs = store.docs_store
    if docs.collection_name == name:
        raise InputError(
            f"expected another collection than `{name}` for the documents of jobs, "
            "got it in JOB_STORE: it is a result collection"
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
    """Open a collection in the database of the documents, and close it afterwards.

    Parameters
    ----------
    store : JobStore
        Documents of jobs.
    name : str
        Name of the collection.
    """
    collection = describe_collection(store, name)
    collection.connect()
    try:
        yield collection
    finally:
        collection.close()


def ensure_indexes(target: MongoStore, collection: Collection) -> None:
    """Create the indexes of a result collection, except in embedded stores.

    Parameters
    ----------
    target : MongoStore
        The collection, connected.
    collection : Collection
        Its name.
    """
    if isinstance(target, MontyStore):
        return
    raw = target._collection  # noqa: SLF001 - maggma indexes single fields only
    raw.create_index([(name, 1) for name in KEYS[collection]], unique=True)
    for names in (("study", "job_uuid"), *INDEXES[collection]):
        if names != KEYS[collection]:
            raw.create_index([(name, 1) for name in names])


def ensure_state_index(state: MongoStore) -> None:
    """Create the unique index of the builder state, except in embedded stores.

    Without it, builders that run at the same time insert an entry twice. Duplicates of
    earlier versions are dropped with the whole state: rows are then built again.

    Parameters
    ----------
    state : MongoStore
        The collection of the builder state, connected.
    """
    if isinstance(state, MontyStore):
        return
    raw = state._collection  # noqa: SLF001 - maggma's indexes are not unique
    try:
        raw.create_index("key", unique=True)
    except DuplicateKeyError:
        raw.delete_many({})
        raw.create_index("key", unique=True)


def replace_rows(
    target: MongoStore,
    rows: list[dict[str, Any]],
    entries: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str],
) -> None:
    """Replace the rows of some documents.

    Parameters
    ----------
    target : MongoStore
        The collection, connected.
    rows : list of dict
        The new rows.
    entries : sequence of mapping
        Query of the old rows of each document: its study and job.
    key : sequence of str
        Fields that identify a row.
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
        target._collection.insert_many(rows)  # noqa: SLF001 - as in maggma


def _write(target: MongoStore, writes: list[ReplaceOne[dict[str, Any]]]) -> None:
    """Write like ``MongoStore.update``, without sanitising plain rows."""
    raw = target._collection  # noqa: SLF001
    try:
        raw.bulk_write(writes, ordered=False)
    except BulkWriteError:  # another builder inserted the same rows
        raw.bulk_write(writes, ordered=False)


def remove_rows(target: MongoStore, criteria: dict[str, Any]) -> None:
    """Remove rows, also of a collection that MontyDB has not created.

    Parameters
    ----------
    target : MongoStore
        The collection, connected.
    criteria : dict
        Query of the rows.
    """
    if target.count(criteria):
        target.remove_docs(criteria)
