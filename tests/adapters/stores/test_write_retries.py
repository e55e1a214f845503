from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NoReturn

import pytest
from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError

from nextrung.adapters.stores import write_retries
from nextrung.adapters.stores.write_retries import keep_trying, make_patient

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


def test_a_lost_connection_is_tried_again_ever_later(waits: list[float]) -> None:
    assert keep_trying(Flaky(3, AutoReconnect("gone"))) == 4
    assert waits == list(write_retries.DELAYS[:3])
    assert list(write_retries.DELAYS) == sorted(write_retries.DELAYS)


def test_patience_ends(waits: list[float]) -> None:
    flaky = Flaky(99, ServerSelectionTimeoutError("gone"))

    with pytest.raises(AutoReconnect, match="gone"):
        keep_trying(flaky)
    assert flaky.calls == len(waits) + 1 == len(write_retries.DELAYS) + 1


def test_what_no_waiting_mends_fails_at_once(waits: list[float]) -> None:
    def refuse() -> NoReturn:
        raise OperationFailure("document too large")

    with pytest.raises(OperationFailure, match="too large"):
        keep_trying(refuse)
    assert waits == []


def test_a_store_becomes_patient_once(job_store: JobStore) -> None:
    make_patient(job_store)
    patient = job_store.update
    make_patient(job_store)

    assert job_store.update is patient
    job_store.update({"uuid": "a", "index": 1, "output": 1}, key=["uuid", "index"])
    assert job_store.get_output("a") == 1


@pytest.fixture
def hasty_store(database: Database) -> Iterator[JobStore]:
    """A store whose driver gives its server up after a fifth of a second."""
    hasty = {"serverSelectionTimeoutMS": 200, "journal": True}
    where = database.where | {"mongoclient_kwargs": hasty}
    store = JobStore(
        MongoStore(collection_name="outputs", **where),
        additional_stores={"data": GridFSStore(collection_name="blobs", **where)},
    )
    store.connect()
    yield store
    store.close()  # type: ignore[no-untyped-call]


@pytest.mark.mongo
def test_a_write_waits_for_the_database(
    hasty_store: JobStore, mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_retries, "DELAYS", (0.5,) * 40)
    make_patient(hasty_store)
    mongod.stop()
    later = threading.Timer(2, mongod.start)
    later.start()

    document = {"uuid": "a", "index": 1, "output": {"rows": [1, 2]}}
    hasty_store.update(document, key=["uuid", "index"], save={"data": ["rows"]})

    later.join()
    assert hasty_store.get_output("a", load=True) == {"rows": [1, 2]}


@pytest.mark.mongo
def test_without_patience_the_write_is_lost(
    hasty_store: JobStore, mongod: Mongod
) -> None:
    mongod.stop()

    with pytest.raises(ServerSelectionTimeoutError):
        hasty_store.update({"uuid": "a", "index": 1}, key=["uuid", "index"])
