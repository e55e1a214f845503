from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NoReturn

import pytest
from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError

from nextrung.adapters.stores import write_retries
from nextrung.adapters.stores.write_retries import RetryingJobStore, retry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services import Database, Mongod


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for; none is waited."""
    waited: list[float] = []
    monkeypatch.setattr(
        "nextrung.adapters.stores.write_retries.time.sleep", waited.append
    )
    return waited


class Flaky:
    """Fails some times, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error = failures, error
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


def test_a_lost_connection_is_retried_after_growing_delays(waits: list[float]) -> None:
    assert retry(Flaky(3, AutoReconnect("gone"))) == 4
    assert waits == list(write_retries.DELAYS[:3])
    assert list(write_retries.DELAYS) == sorted(write_retries.DELAYS)


def test_retries_end_after_the_last_delay(waits: list[float]) -> None:
    flaky = Flaky(99, ServerSelectionTimeoutError("gone"))

    with pytest.raises(AutoReconnect, match="gone"):
        retry(flaky)
    assert flaky.calls == len(waits) + 1 == len(write_retries.DELAYS) + 1


def test_an_error_other_than_a_lost_connection_is_raised_at_once(
    waits: list[float],
) -> None:
    def refuse() -> NoReturn:
        raise OperationFailure("document too large")

    with pytest.raises(OperationFailure, match="too large"):
        retry(refuse)
    assert waits == []


def test_a_retrying_store_has_the_documents_of_the_store_it_wraps(
    job_store: JobStore,
) -> None:
    store = RetryingJobStore.wrap(job_store)

    store.update({"uuid": "a", "index": 1, "output": 1}, key=["uuid", "index"])

    assert RetryingJobStore.wrap(store) is store
    assert job_store.get_output("a") == 1


def test_a_look_up_is_retried(
    job_store: JobStore, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    flaky = Flaky(2, AutoReconnect("gone"))
    monkeypatch.setattr(
        job_store.docs_store, "query", lambda **_: iter([{"n": flaky()}])
    )

    assert RetryingJobStore.wrap(job_store).query_one({"uuid": "a"}) == {"n": 3}
    assert len(waits) == 2


@pytest.fixture
def plain_store(database: Database) -> Iterator[JobStore]:
    """A store whose driver looks for its server for a fifth of a second."""
    options = {"serverSelectionTimeoutMS": 200, "journal": True}
    where = database.where | {"mongoclient_kwargs": options}
    store = JobStore(
        MongoStore(collection_name="outputs", **where),
        additional_stores={"data": GridFSStore(collection_name="blobs", **where)},
    )
    store.connect()
    yield store
    store.close()  # type: ignore[no-untyped-call]


@pytest.mark.mongo
def test_a_write_waits_for_the_database(
    plain_store: JobStore, mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_retries, "DELAYS", (0.5,) * 40)
    store = RetryingJobStore.wrap(plain_store)
    mongod.stop()
    later = threading.Timer(2, mongod.start)
    later.start()

    document = {"uuid": "a", "index": 1, "output": {"rows": [1, 2]}}
    store.update(document, key=["uuid", "index"], save={"data": ["rows"]})

    later.join()
    assert store.get_output("a", load=True) == {"rows": [1, 2]}


@pytest.mark.mongo
def test_without_retries_the_write_is_lost(
    plain_store: JobStore, mongod: Mongod
) -> None:
    mongod.stop()

    with pytest.raises(ServerSelectionTimeoutError):
        plain_store.update({"uuid": "a", "index": 1}, key=["uuid", "index"])
