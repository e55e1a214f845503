"""Progress of running jobs: documents that workers write and ``status`` reads."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pymongo
from maggma.stores import MemoryStore
from pymongo.errors import PyMongoError

from nextrung.adapters.connections import describe_connection_error
from nextrung.schemas.cluster.progress import RunningJob

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from jobflow import JobStore

logger = logging.getLogger("nextrung")

#: Collection of running jobs, in the database of the documents.
RUNNING_JOBS = "running_jobs"

#: Shortest time between two writes in s.
INTERVAL = 10.0

#: Longest time in s that a write may delay its job, and the time until the next write
#: after one that failed.
TIMEOUT = 2.0
PAUSE = 300.0


class RunningJobWriter:
    """Write the progress of one running job; nothing here makes the job fail.

    Parameters
    ----------
    store : JobStore
        Connected store of the job; embedded stores and those in memory get no
        documents of running jobs.
    uuid : str
        Job.
    name : str
        Its name.
    host : str
        Machine that runs it.
    """

    def __init__(self, store: JobStore, *, uuid: str, name: str, host: str) -> None:
        self._job = {"uuid": uuid, "name": name, "host": host}
        self._collection = _find_collection(store)
        self._next_write = 0.0
        self._first: dict[str, Any] = {}

    def write(self, done: int, total: int, text: str) -> None:
        """Write the progress, at most once per interval and once it is complete.

        Parameters
        ----------
        done : int
            Steps done.
        total : int
            Steps to do.
        text : str
            Errors of the epoch, failed relaxations and the like.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        if not self._first:
            self._first = {"first_done": done, "started_at": now}
        progress = {"done": done, "total": total, "text": text, "updated_at": now}
        if time.monotonic() < self._next_write:
            return
        document = {"_id": self._job["uuid"]} | self._job | self._first | progress
        self._try(lambda raw: raw.replace_one({"_id": document["_id"]}, document, True))

    def remove(self) -> None:
        """Remove the document at the end of the job."""
        if self._first:
            self._try(lambda raw: raw.delete_one({"_id": self._job["uuid"]}))

    def _try(self, action: Callable[[Any], object]) -> None:
        """Change the collection; log an error, and pause after it."""
        if self._collection is None:
            return
        self._next_write = time.monotonic() + INTERVAL
        try:
            with pymongo.timeout(TIMEOUT):
                action(self._collection)
        except PyMongoError as error:
            self._next_write = time.monotonic() + PAUSE
            reason = describe_connection_error(error)
            logger.warning("progress of %s not stored: %s", self._job["name"], reason)


def find_running_jobs(store: JobStore, uuids: Collection[str]) -> list[RunningJob]:
    """Find the progress of running jobs.

    Parameters
    ----------
    store : JobStore
        A connected store.
    uuids : collection of str
        Jobs that run; documents of others, of workers that were killed, are ignored.

    Returns
    -------
    list of RunningJob
        Jobs that have reported, by name.
    """
    collection = _find_collection(store)
    if collection is None:
        return []
    found = collection.find({"_id": {"$in": list(uuids)}}, {"_id": 0}).sort("name", 1)
    return [RunningJob.model_validate(document) for document in found]


def _find_collection(store: JobStore) -> Any:  # noqa: ANN401 - of pymongo
    """Return the collection of running jobs; None where the store is no server's."""
    docs = store.docs_store
    if isinstance(docs, MemoryStore):  # or MontyDB, which is one of them
        return None
    return docs._collection.database[RUNNING_JOBS]  # noqa: SLF001 - no name in maggma
