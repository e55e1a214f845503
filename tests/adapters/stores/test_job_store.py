from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore

from nextrung.adapters.stores import job_store
from nextrung.adapters.stores.job_store import (
    close_store,
    find_documents,
    find_finished,
    keeps_documents,
    make_embedded_store,
    make_indexes,
    open_configured_store,
    open_embedded_store,
    open_store_file,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services import Database


UNREACHABLE = """
JOB_STORE:
  docs_store:
    type: MongoStore
    database: d
    collection_name: c
    uri: mongodb://127.0.0.1:9/?timeoutMS=200
  additional_stores: {data: {type: MemoryStore}}
"""


def add(store: object, uuid: str, index: int, output: object) -> None:
    document = {
        "uuid": uuid,
        "index": index,
        "output": output,
        "completed_at": f"2026-01-0{index}",
        "name": "job",
    }
    store.update(document, key=["uuid", "index"], save={"data": ["rows"]})  # type: ignore[attr-defined]


def test_embedded_store_keeps_documents_and_arrays(tmp_path: Path) -> None:
    store = make_embedded_store(tmp_path)
    add(store, "a", 1, {"rows": [1, 2]})
    store.close()  # type: ignore[no-untyped-call]

    reopened = open_embedded_store(tmp_path)

    assert reopened.get_output("a", load=True) == {"rows": [1, 2]}
    assert reopened.additional_stores["data"].count() == 1  # type: ignore[has-type]


def test_newest_index_of_a_job_is_found(tmp_path: Path) -> None:
    store = make_embedded_store(tmp_path)
    add(store, "a", 1, {"n": 1})
    add(store, "a", 2, {"n": 2})
    add(store, "b", 1, {"n": 3})

    found = find_documents(store, {"name": "job"})

    assert [document["output"]["n"] for document in found] == [3, 2]


def test_missing_embedded_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a run folder with a store"):
        open_embedded_store(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_embedded_store_knows_no_indexes(tmp_path: Path) -> None:
    assert make_indexes(make_embedded_store(tmp_path)) == []


def test_unset_configuration_is_never_a_store_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("JOBFLOW_CONFIG_FILE", raising=False)

    with pytest.raises(InputError, match="JOBFLOW_CONFIG_FILE to name"):
        open_configured_store()


def test_missing_configuration_is_never_a_store_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))

    with pytest.raises(InputError, match=r"got no .*jobflow\.yaml"):
        open_configured_store()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("JOB_STORE: {docs_store: {type: NoStore}}", "expected a JOB_STORE"),
        ("JOB_STORE: {docs_store: {type: MemoryStore}}", "additional store `data`"),
        (
            UNREACHABLE,
            "expected a store that answers",
        ),
    ],
    ids=["unknown", "no data store", "unreachable"],
)
def test_unusable_configuration_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "jobflow.yaml").write_text(content)
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))

    with pytest.raises(InputError, match=message):
        open_configured_store()


def test_only_a_store_in_memory_keeps_nothing(tmp_path: Path) -> None:
    assert keeps_documents(make_embedded_store(tmp_path))
    assert not keeps_documents(JobStore(MemoryStore()))


def test_a_store_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a jobflow\.yaml, got no .*none"):
        open_store_file(tmp_path / "none")


@pytest.mark.mongo
def test_the_store_of_a_file_is_the_one_it_describes(
    database: Database, mongo_store: JobStore, tmp_path: Path
) -> None:
    add(mongo_store, "a", 1, 7)

    store = open_store_file(database.write_configuration(tmp_path) / "jobflow.yaml")

    assert store.get_output("a") == 7
    store.close()  # type: ignore[no-untyped-call]


@pytest.mark.mongo
def test_a_store_can_be_closed_twice(database: Database) -> None:
    store = database.job_store()
    store.connect()

    close_store(store)
    close_store(store)

    assert store.docs_store._coll is None


def test_finished_jobs_are_those_with_a_document(job_store: JobStore) -> None:
    stored: list[dict[str, Any]] = [
        {"uuid": "a", "index": 1},
        {"uuid": "c", "index": 1},
        {"uuid": "d", "index": 1, "output": {"error": "no convergence"}},
    ]
    job_store.update(stored, key="uuid")
    errors = find_finished(job_store, ["a", "b", "d"])
    assert errors == {"a": None, "d": "no convergence"}


@pytest.mark.parametrize(("most", "n_warnings"), [(2, 1), (3, 0)])
def test_a_large_embedded_store_is_opened_with_a_warning(
    most: int, n_warnings: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [{"uuid": str(number), "index": 1} for number in range(3)]
    make_embedded_store(tmp_path).docs_store.update(documents, key=["uuid", "index"])
    monkeypatch.setattr(job_store, "MOST_DOCUMENTS", most)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_embedded_store(tmp_path)

    assert len(caught) == n_warnings
    assert all("holds 3 documents: above 2" in str(each.message) for each in caught)
