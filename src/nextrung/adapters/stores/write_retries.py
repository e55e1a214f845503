"""Patience with a database that is away for a while."""

from __future__ import annotations

import logging
import time
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from jobflow.core.schemas import JobStoreDocument
from pymongo.errors import AutoReconnect

from nextrung.adapters.stores.blobs import find_arrays, remove_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobflow import JobStore

logger = logging.getLogger("nextrung")

#: Seconds to wait after each failure; the driver itself looks for its server for half
#: a minute before it gives up, so that a database may be away for eight minutes.
DELAYS = (1, 2, 4, 8, 16, 32, 60, 60)

_Answer = TypeVar("_Answer")


def keep_trying(action: Callable[[], _Answer]) -> _Answer:
    """Repeat what a lost connection interrupted.

    Parameters
    ----------
    action : callable
        What to do; doing it twice must be the same as doing it once.

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
            reason = str(error).partition(", Timeout:")[0]
            logger.warning("database away, again in %g s: %s", delay, reason)
            time.sleep(delay)
    return action()


def make_patient(store: JobStore) -> None:
    """Let a store repeat writes that a lost connection interrupted.

    jobflow writes the document of a job once, when all is computed; without patience
    an hour of work would wait for its rerun because of a second without database.
    Where a job is stored again, as one that is answered is, jobflow leaves the arrays
    of the document that it replaces behind; here they go.

    Parameters
    ----------
    store : JobStore
        A store; nothing happens where it is patient already.
    """
    update = store.update
    if hasattr(update, "__wrapped__"):
        return

    @wraps(update)
    def patient(*documents: Any, **options: Any) -> None:  # noqa: ANN401
        replaced: dict[str, list[str]] = {}
        if isinstance(documents[0], JobStoreDocument):
            where = documents[0].uuid, documents[0].index
            replaced = keep_trying(lambda: find_arrays(store, *where))
        keep_trying(lambda: update(*documents, **options))
        keep_trying(lambda: remove_arrays(store, replaced))

    store.update = patient  # type: ignore[method-assign]
