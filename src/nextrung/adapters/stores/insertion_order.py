"""Order in which the documents of jobs were stored, whatever the clocks of machines."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maggma.stores import MontyStore
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import JobStore

#: Field of the number of a document: greater than those of all stored before it.
SEQUENCE = "metadata.sequence"

#: Collection of the counter, beside the documents in a database server.
COUNTER = "sequence"

#: Counter of an embedded store; one statement of SQLite is atomic between processes.
_COUNT = """
INSERT INTO sequence VALUES (1, :stored + 1)
ON CONFLICT (id) DO UPDATE SET number = number + 1 RETURNING number
"""

#: Key of a document in the order of storage.
InsertionKey = tuple[int, str, str]


def insertion_key(document: Mapping[str, Any]) -> InsertionKey:
    """Return the sort key of a stored document, oldest first.

    That is its number in the store. Documents without one are older than all others,
    and are ordered by the end of their computation in UTC. jobflow's ``completed_at``
    is the local time of some machine, and decides only where there is nothing else.

    Parameters
    ----------
    document : mapping
        Document with its metadata, provenance and ``completed_at``.
    """
    number = (document.get("metadata") or {}).get("sequence", 0)
    output = document.get("output")
    provenance = output.get("provenance") if isinstance(output, dict) else None
    computed = (provenance or {}).get("completed_at", "")
    return number, computed, str(document.get("completed_at", ""))


def next_number(store: JobStore) -> int:
    """Count one more document; return its number.

    Parameters
    ----------
    store : JobStore
        A connected store.

    Returns
    -------
    int
        A number that is greater than those of all documents stored before.
    """
    docs: Any = store.docs_store
    if isinstance(docs, MontyStore):
        return _count_in_file(store, Path(docs.database_path) / "sequence.sqlite")
    raw = docs._collection  # noqa: SLF001 - maggma has no atomic updates
    counter = raw.database[COUNTER]
    key = {"_id": raw.name}
    if counter.find_one(key) is None:
        with suppress(DuplicateKeyError):  # another process was first
            counter.insert_one(key | {"number": _greatest_number(store)})
    counted = counter.find_one_and_update(
        key, {"$inc": {"number": 1}}, return_document=ReturnDocument.AFTER
    )
    number: int = counted["number"]
    return number


def _count_in_file(store: JobStore, file: Path) -> int:
    """Count in a file beside the documents of an embedded store."""
    stored = 0 if file.exists() else _greatest_number(store)
    with closing(sqlite3.connect(file, timeout=60)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS sequence (id INTEGER PRIMARY KEY, number INT)"
        )
        ((number,),) = connection.execute(_COUNT, {"stored": stored}).fetchall()
    return int(number)


def _greatest_number(store: JobStore) -> int:
    """Find the greatest number of a document; 0 where none is numbered."""
    found = store.query_one({SEQUENCE: {"$exists": True}}, [SEQUENCE], {SEQUENCE: -1})
    return 0 if found is None else int(found["metadata"]["sequence"])
