"""Builders of the result collections from the documents of jobs.

``nextrung build`` runs them one after another; ``mrun`` of maggma runs them in several
processes.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from maggma.core import Builder
from maggma.stores import MontyStore

from nextrung.adapters.stores.collections import (
    BUILDER_STATE,
    describe_collection,
    ensure_indexes,
    ensure_state_index,
    remove_rows,
    replace_rows,
)
from nextrung.adapters.stores.rows import list_rows, select_sources, source_version
from nextrung.adapters.stores.study_jobs import StudyJob, list_study_jobs
from nextrung.schemas.base import InputError
from nextrung.schemas.stores.collections import KEYS, Collection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobflow import JobStore
    from maggma.stores import MongoStore

logger = logging.getLogger("nextrung")

#: Source version while the rows of a document are written.
INCOMPLETE = "incomplete"


class CollectionBuilder(Builder):  # type: ignore[misc]
    """Builder of one result collection.

    Rows are rebuilt when the source version of their document changes, that is, when
    jobflow stored it again or the layout of rows changed. Versions are compared for
    equality, so clocks of workers may differ. Rows of documents that are no longer
    current are removed. A document that cannot be read is skipped until the next run.

    Parameters
    ----------
    jobs : JobStore
        Documents of jobs.
    target : Store
        The collection.
    state : Store
        Builder state: the source version of each document.
    collection : str
        Name of the collection.
    chunk_size : int
        Documents per write.
    """

    def __init__(
        self,
        jobs: JobStore,
        *,
        target: MongoStore,
        state: MongoStore,
        collection: str,
        chunk_size: int = 4,
    ) -> None:
        self.jobs = jobs
        self.target = target
        self.state = state
        self.collection = collection
        self.failures: list[str] = []
        self.n_rows = 0
        self._outdated: list[dict[str, str]] = []
        super().__init__([jobs], [target, state], chunk_size=chunk_size)

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield the documents whose source version differs from the builder state."""
        collection = Collection(self.collection)
        ensure_indexes(self.target, collection)
        ensure_state_index(self.state)
        jobs = list_study_jobs(self.jobs)
        current = {self._key(job): job for job in select_sources(jobs, collection)}
        versions: dict[str, str] = {}
        for entry in self.state.query({"collection": self.collection}):
            versions[entry["key"]] = entry["stamp"]
            if entry["key"] not in current:
                self._outdated.append({n: entry[n] for n in ("study", "job_uuid")})
        changed = [
            job
            for key, job in current.items()
            if versions.get(key) != source_version(job, collection)
        ]
        self.total = len(changed)
        for job in changed:
            yield self._load(job, jobs)

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """List the rows of one document.

        Parameters
        ----------
        item : dict
            Item of :meth:`get_items`.

        Returns
        -------
        dict
            The rows or an error, and their entry in the builder state.
        """
        collection = Collection(self.collection)
        job = item["job"]
        entry = {
            "key": self._key(job),
            "collection": self.collection,
            "study": job.study,
            "job_uuid": job.uuid,
            "stamp": source_version(job, collection),
        }
        try:
            rows = list_rows(item, collection)
        except ValueError as error:
            reason = " ".join(str(error).split())
            return {"entry": entry, "error": f"{job.name}: {reason}"}
        return {"entry": entry, "rows": [row.model_dump(mode="json") for row in rows]}

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Write rows, marked as incomplete in the builder state until they are written.

        Parameters
        ----------
        items : list of dict
            Results of :meth:`process_item`.
        """
        failures = [item["error"] for item in items if "error" in item]
        for failure in failures:
            logger.warning("%s: not built: %s", self.collection, failure)
        self.failures += failures
        flat = [item for item in items if "error" not in item]
        if not flat:
            return
        rows = [row for item in flat for row in item["rows"]]
        jobs = [
            {name: item["entry"][name] for name in ("study", "job_uuid")}
            for item in flat
        ]
        self._update_state([item["entry"] | {"stamp": INCOMPLETE} for item in flat])
        replace_rows(self.target, rows, jobs, key=KEYS[Collection(self.collection)])
        self._update_state(
            [item["entry"] | {"n_rows": len(item["rows"])} for item in flat]
        )
        self.n_rows += len(rows)

    def finalize(self) -> None:
        """Remove the rows of outdated documents; close the stores."""
        for job in self._outdated:
            remove_rows(self.target, dict(job))
            remove_rows(self.state, job | {"collection": self.collection})
        super().finalize()

    def _update_state(self, entries: list[dict[str, Any]]) -> None:
        """Write entries of the builder state."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        dated = [entry | {"completed_at": now} for entry in entries]
        keys = [{"key": entry["key"]} for entry in entries]
        replace_rows(self.state, dated, keys, key=("key",))

    def _key(self, job: StudyJob) -> str:
        """Return the key of a document in the builder state."""
        return f"{self.collection}/{job.study}/{job.uuid}"

    def _load(self, job: StudyJob, jobs: Sequence[StudyJob]) -> dict[str, Any]:
        """Load the outputs from which the rows of a document are built."""
        item: dict[str, Any] = {"job": job}
        if self.collection == Collection.JOBS:
            return item
        item["output"] = self._output(job)
        if self.collection == Collection.MODELS:
            fingerprint = job.parents.get("dataset")
            datasets = (each for each in jobs if each.fingerprint == fingerprint)
            dataset = next(datasets, None)
            item["dataset"] = dataset and self._output(dataset)
        return item

    def _output(self, job: StudyJob) -> Any:  # noqa: ANN401 - any document
        """Load the whole output of a job."""
        where = {"uuid": job.uuid, "index": job.index}
        try:
            found = self.jobs.query_one(where, load=True)
        except KeyError:  # its arrays are missing
            return None
        return found and found["output"]


def make_builders(store: JobStore) -> list[CollectionBuilder]:
    """Build the builders of all result collections, one each.

    Parameters
    ----------
    store : JobStore
        Documents of jobs; the collections are in the same database.
    """
    # An embedded store takes 20 ms per write of any size; documents in a MongoDB may
    # have 35,000 rows each.
    return [
        CollectionBuilder(
            store,
            target=describe_collection(store, collection.value),
            state=describe_collection(store, BUILDER_STATE),
            collection=collection.value,
            chunk_size=32 if isinstance(store.docs_store, MontyStore) else 4,
        )
        for collection in Collection
    ]


def run_builder(builder: Builder) -> None:
    """Run a builder; ``Builder.run`` would configure the root logger.

    Parameters
    ----------
    builder : Builder
        The builder; its stores are closed afterwards.
    """
    try:
        builder.connect()
        items = iter(builder.get_items())
        while chunk := list(islice(items, builder.chunk_size)):
            builder.update_targets([builder.process_item(item) for item in chunk])
    except BaseException:
        Builder.finalize(builder)  # closes the stores without removing rows
        raise
    builder.finalize()


def build_collections(store: JobStore) -> dict[Collection, int]:
    """Update every result collection.

    Parameters
    ----------
    store : JobStore
        A connected store; it is reconnected afterwards.

    Returns
    -------
    dict of Collection to int
        Number of rows written, by collection.

    Raises
    ------
    InputError
        If a document could not be read; all others are built.
    """
    builders = make_builders(store)
    try:
        for builder in builders:
            run_builder(builder)
    finally:
        store.connect()
    failures = [failure for builder in builders for failure in builder.failures]
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise InputError(f"not built: {failures[0]}{more}")
    return {Collection(builder.collection): builder.n_rows for builder in builders}
