"""Builders of the result collections: documents of jobs in, flat rows out.

Any maggma runner takes them: ``nextrung build`` runs them one after another,
``mrun`` in as many processes as wanted.
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

#: Stamp of a document whose rows are being written; no document has it.
BEGUN = "begun"


class CollectionBuilder(Builder):  # type: ignore[misc]
    """Keep one result collection in step with the documents of jobs.

    A document is read again when jobflow stored it anew (its ``completed_at`` is
    another), or when the layout of the rows changed. Stamps are compared document by
    document: clocks of workers that disagree lose no row. Rows whose document no
    longer answers for its part of a study are removed. Where a document cannot be
    read, the others are built and the next run tries again.

    Parameters
    ----------
    jobs : JobStore
        Documents of jobs.
    target : Store
        The collection.
    state : Store
        What was built from which documents.
    collection : str
        Name of the collection.
    chunk_size : int
        Documents whose rows are in memory together.
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
        self._superseded: list[dict[str, str]] = []
        super().__init__([jobs], [target, state], chunk_size=chunk_size)

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Find the documents that were not built as they are now.

        Yields
        ------
        dict
            A job, its place in a study, its output and the labels behind it.
        """
        collection = Collection(self.collection)
        ensure_indexes(self.target, collection)
        members = list_study_jobs(self.jobs)
        current = select_sources(members, collection)
        answering = {self._key(member) for member in current}
        stamps: dict[str, str] = {}
        for entry in self.state.query({"collection": self.collection}):
            stamps[entry["key"]] = entry["stamp"]
            if entry["key"] not in answering:
                place = {name: entry[name] for name in ("study", "job_uuid")}
                self._superseded.append(place)
        waiting = [
            member
            for member in current
            if stamps.get(self._key(member)) != source_version(member, collection)
        ]
        self.total = len(waiting)
        for member in waiting:
            yield self._load(member, members)

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """Flatten one document.

        Parameters
        ----------
        item : dict
            What :meth:`get_items` found.

        Returns
        -------
        dict
            The rows, and their entry in the builder state.
        """
        collection = Collection(self.collection)
        member = item["member"]
        entry = {
            "key": self._key(member),
            "collection": self.collection,
            "study": member.study,
            "job_uuid": member.job.uuid,
            "stamp": source_version(member, collection),
        }
        try:
            rows = list_rows(item, collection)
        except ValueError as error:
            reason = " ".join(str(error).split())
            return {"entry": entry, "error": f"{member.job.name}: {reason}"}
        return {"entry": entry, "rows": [row.model_dump(mode="json") for row in rows]}

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Write rows between two notes of the state: a kill repeats work, no more.

        Parameters
        ----------
        items : list of dict
            What :meth:`process_item` returned.
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
        self._note([item["entry"] | {"stamp": BEGUN} for item in flat])
        replace_rows(self.target, rows, jobs, key=KEYS[Collection(self.collection)])
        self._note([item["entry"] | {"n_rows": len(item["rows"])} for item in flat])
        self.n_rows += len(rows)

    def finalize(self) -> None:
        """Remove rows whose document no longer answers; close the stores."""
        for place in self._superseded:
            remove_rows(self.target, dict(place))
            remove_rows(self.state, place | {"collection": self.collection})
        super().finalize()

    def _note(self, entries: list[dict[str, Any]]) -> None:
        """Write entries of the builder state."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        noted = [entry | {"completed_at": now} for entry in entries]
        known = [{"key": entry["key"]} for entry in entries]
        replace_rows(self.state, noted, known, key=("key",))

    def _key(self, member: StudyJob) -> str:
        """Name the entry of a document in the builder state."""
        return f"{self.collection}/{member.study}/{member.job.uuid}"

    def _load(self, member: StudyJob, members: Sequence[StudyJob]) -> dict[str, Any]:
        """Load what the rows of a document are made of."""
        item: dict[str, Any] = {"member": member}
        if self.collection == Collection.JOBS:
            return item
        item["output"] = self._output(member)
        if self.collection == Collection.MODELS:
            wanted = member.job.parents.get("dataset")
            labels = (each for each in members if each.job.fingerprint == wanted)
            dataset = next(labels, None)
            item["dataset"] = dataset and self._output(dataset)
        return item

    def _output(self, member: StudyJob) -> Any:  # noqa: ANN401 - any document
        """Load the whole output of a job."""
        where = {"uuid": member.job.uuid, "index": member.job.index}
        try:
            found = self.jobs.query_one(where, load=True)
        except KeyError:  # stored without its arrays
            return None
        return found and found["output"]


def make_builders(store: JobStore) -> list[CollectionBuilder]:
    """Make the builders of all result collections.

    Parameters
    ----------
    store : JobStore
        Documents of jobs; the collections are made beside them.

    Returns
    -------
    list of CollectionBuilder
        One per collection.
    """
    # A write to an embedded store takes 20 ms whatever it writes; documents of studies
    # that need a server may have 35,000 rows each.
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
    """Run a builder; ``Builder.run`` would turn on every log of the process.

    Parameters
    ----------
    builder : Builder
        What to run; its stores are closed afterwards.
    """
    try:
        builder.connect()
        items = iter(builder.get_items())
        while chunk := list(islice(items, builder.chunk_size)):
            builder.update_targets([builder.process_item(item) for item in chunk])
    except BaseException:
        Builder.finalize(builder)  # closes the stores, and removes no row
        raise
    builder.finalize()


def build_collections(store: JobStore) -> dict[Collection, int]:
    """Bring every result collection up to date.

    Parameters
    ----------
    store : JobStore
        A connected store; it is connected again afterwards.

    Returns
    -------
    dict of Collection to int
        Rows written anew, by collection.

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
