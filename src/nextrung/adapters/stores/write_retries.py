"""Job store that retries when the connection to its database is lost."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from jobflow import JobStore
from jobflow.core.schemas import JobStoreDocument
from pymongo.errors import AutoReconnect

from nextrung.adapters.connections import describe_connection_error
from nextrung.adapters.files.locks import remove_unlocked
from nextrung.adapters.stores.blobs import find_arrays, remove_arrays
from nextrung.adapters.stores.insertion_order import next_number
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

logger = logging.getLogger("nextrung")

#: Seconds to wait after each failure. The driver itself looks for its server for half
#: a minute before it raises, so the database may be unreachable for eight minutes;
#: with the 15 minutes of the templates, for two hours.
DELAYS = (1, 2, 4, 8, 16, 32, 60, 60)

#: Metadata of jobs that ignore documents computed without the same token.
RECOMPUTE = "recompute"

_Result = TypeVar("_Result")


def retry(action: Callable[[], _Result]) -> _Result:
    """Repeat an action that a lost connection interrupted.

    Parameters
    ----------
    action : callable
        Idempotent function without arguments.

    Returns
    -------
    object
        What the action returns.

    Raises
    ------
    AutoReconnect
        If the connection is still lost after the last of the delays.
    """
    for delay in DELAYS:
        try:
            return action()
        except AutoReconnect as error:
            reason = describe_connection_error(error)
            logger.warning("database unreachable, retry in %g s: %s", delay, reason)
            time.sleep(delay)
    return action()


class RetryingJobStore(JobStore):
    """Job store that repeats writes and look-ups that a lost connection interrupted.

    jobflow writes the document of a job once, when all is computed: without retries a
    second without database costs the whole job. A document that replaces another also
    removes the arrays of the old one, which jobflow leaves in the additional stores.
    Documents of jobs are numbered in the order in which they are stored, and the
    unfinished work of a job is removed once its document is written.
    """

    @classmethod
    def wrap(cls, store: JobStore) -> Self:
        """Return a retrying store on the connections of another.

        Parameters
        ----------
        store : JobStore
            Any job store; one that retries is returned as it is.

        Returns
        -------
        RetryingJobStore
            A store of the same documents and arrays.
        """
        if isinstance(store, cls):
            return store
        return cls(store.docs_store, store.additional_stores, store.save, store.load)  # type: ignore[has-type]

    def query_one(self, *arguments: Any, **options: Any) -> dict[str, Any] | None:  # noqa: ANN401  # numpydoc ignore=PR01
        """Find one document, as ``JobStore.query_one`` does, with retries."""
        return retry(partial(super().query_one, *arguments, **options))

    def update(self, docs: Any, key: Any = None, save: Any = None) -> None:  # noqa: ANN401
        """Write documents, as ``JobStore.update`` does, with retries.

        Parameters
        ----------
        docs : dict, JobStoreDocument, or list of them
            The documents.
        key : str or list of str, optional
            Fields that identify a document.
        save : dict, optional
            Fields to write to each additional store.
        """
        replaced = {}
        if isinstance(docs, JobStoreDocument):
            replaced = find_arrays(self, docs.uuid, docs.index)
            numbered = {"sequence": retry(partial(next_number, self))}
            metadata = (docs.metadata or {}) | numbered
            docs = docs.model_copy(update={"metadata": metadata})
        retry(partial(super().update, docs, key, save))
        retry(partial(remove_arrays, self, replaced))
        if isinstance(docs, JobStoreDocument):
            _remove_unfinished(docs.output, (docs.metadata or {}).get(RECOMPUTE))


def _remove_unfinished(output: Any, token: str | None) -> None:  # noqa: ANN401 - any output of a job
    """Remove the unfinished work of a job by its document, if it has provenance."""
    provenance = output.get("provenance") if isinstance(output, dict) else None
    if isinstance(provenance, dict) and "fingerprint" in provenance:
        remove_unlocked(MachineSettings().work_of(provenance["fingerprint"], token))
