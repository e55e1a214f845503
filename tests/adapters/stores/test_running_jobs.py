"""Progress of running jobs in the store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.stores import running_jobs
from nextrung.adapters.stores.running_jobs import RunningJobWriter, find_running_jobs

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore
    from tests.services import Database


def writer_of(store: JobStore) -> RunningJobWriter:
    return RunningJobWriter(store, uuid="a", name="fine-tune source", host="n1")


@pytest.mark.mongo
def test_progress_is_found_until_the_job_ends(mongo_store: JobStore) -> None:
    writer = writer_of(mongo_store)
    writer.write(3, 50, "energy 21 meV/atom")

    (found,) = find_running_jobs(mongo_store, ["a", "b"])
    writer.remove()

    assert (found.done, found.total, found.first_done) == (3, 50, 3)
    assert (found.name, found.host) == ("fine-tune source", "n1")
    assert found.text == "energy 21 meV/atom"
    assert found.hours_left is None
    assert find_running_jobs(mongo_store, ["a"]) == []


@pytest.mark.mongo
def test_writes_are_as_far_apart_as_the_interval(
    mongo_store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_of(mongo_store)
    writer.write(1, 3, "")
    writer.write(2, 3, "")
    assert find_running_jobs(mongo_store, ["a"])[0].done == 1

    monkeypatch.setattr(running_jobs, "INTERVAL", 0)
    writer = writer_of(mongo_store)
    writer.write(1, 3, "")
    writer.write(2, 3, "")
    assert find_running_jobs(mongo_store, ["a"])[0].done == 2


@pytest.mark.mongo
def test_a_server_that_is_down_delays_a_job_by_seconds_and_does_not_fail_it(
    mongo_store: JobStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_jobs, "INTERVAL", 0)
    monkeypatch.setattr(running_jobs, "TIMEOUT", 0.5)
    writer = writer_of(mongo_store)
    writer.write(1, 3, "")
    database.mongod.stop()

    started = time.monotonic()
    for done in range(100):
        writer.write(done, 100, "")
    assert time.monotonic() - started < 5

    database.mongod.start()


def test_stores_in_memory_and_of_run_folders_get_no_progress(
    job_store: JobStore, tmp_path: Path
) -> None:
    from nextrung.adapters.stores.job_store import make_embedded_store  # noqa: PLC0415

    for store in (job_store, make_embedded_store(tmp_path)):
        writer = writer_of(store)
        writer.write(1, 2, "")
        writer.remove()
        assert find_running_jobs(store, ["a"]) == []
