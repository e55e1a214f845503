from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bson import decode
from maggma.stores import MontyStore
from montydb.storage.sqlite import SQLiteKVEngine

from nextrung.adapters.stores.embedded_store import EmbeddedStore, list_needles

DOCUMENTS: list[dict[str, Any]] = [
    {
        "uuid": f"job-{number}",
        "index": 1,
        "tags": ["é", f"tag-{number % 3}"],
        "output": {"study": "a"} if number % 2 else {"other": "study"},
    }
    for number in range(12)
]

QUERIES: list[dict[str, Any]] = [
    {},
    {"uuid": "job-3"},
    {"uuid": "job-99"},
    {"index": 1},
    {"tags": "é"},
    {"tags": "tag-1", "uuid": {"$in": ["job-1", "job-2", "job-4"]}},
    {"uuid": {"$in": []}},
    {"uuid": {"$in": [f"job-{number}" for number in range(300)]}},
    {"uuid": {"$eq": "job-1"}},
    {"uuid": {"$ne": "job-1"}},
    {"uuid": {"$regex": "^job-1"}},
    {"output.study": {"$exists": True}},
    {"output.study": {"$exists": False}},
    {"$or": [{"uuid": "job-1"}, {"output.study": "a", "index": 1}]},
    {"$or": [{"uuid": "job-1"}, {"index": 1}]},
    {"$and": [{"output.study": "a"}, {"uuid": "job-5"}]},
    {"$nor": [{"uuid": "job-1"}]},
]


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    store = EmbeddedStore("docs", database_path=str(tmp_path))
    store.connect()
    store.update([dict(document) for document in DOCUMENTS], key=["uuid", "index"])
    return store


@pytest.mark.parametrize("criteria", QUERIES, ids=str)
def test_queries_and_counts_are_those_of_monty_store(
    store: EmbeddedStore, criteria: dict[str, Any]
) -> None:
    plain = MontyStore("docs", database_path=store.database_path)
    plain.connect()
    expected = list(plain.query(criteria, sort={"uuid": 1}))

    assert list(store.query(criteria, sort={"uuid": 1})) == expected
    assert store.count(criteria) == len(expected)


def test_an_update_replaces_one_document_and_a_removal_those_that_match(
    store: EmbeddedStore,
) -> None:
    store.update({"uuid": "job-3", "index": 1, "new": True}, key=["uuid", "index"])
    store.remove_docs({"uuid": {"$in": ["job-4", "job-5"]}})

    assert store.count() == len(DOCUMENTS) - 2
    (replaced,) = store.query({"uuid": "job-3"})
    assert replaced["new"] is True
    assert store.count({"uuid": "job-4"}) == 0


def test_a_query_decodes_only_the_documents_that_may_match(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole collection is read only where criteria name no text."""
    whole: list[str] = []
    read_all = SQLiteKVEngine.read_all

    def count_reads(engine: SQLiteKVEngine, db_file: str, limit: int) -> Any:  # noqa: ANN401
        whole.append(db_file)
        return read_all(engine, db_file, limit)

    monkeypatch.setattr(SQLiteKVEngine, "read_all", count_reads)
    list(store.query({"uuid": "job-3"}))
    store.update({"uuid": "job-3", "index": 2}, key=["uuid", "index"])
    assert whole == []

    list(store.query({"index": 1}))
    assert len(whole) == 1


def test_reading_a_collection_that_does_not_exist_makes_no_file(tmp_path: Path) -> None:
    store = EmbeddedStore("docs", database_path=str(tmp_path))
    store.connect()

    assert list(store.query({"uuid": "a"})) == []
    assert list(tmp_path.rglob("*.collection")) == []


def test_needles_are_in_the_bytes_of_every_document_that_matches(
    store: EmbeddedStore,
) -> None:
    engine = SQLiteKVEngine({})
    (file,) = Path(store.database_path).rglob("*.collection")
    stored = [bytes(row[0]) for row in engine.read_all(str(file), 0)]

    for criteria in QUERIES:
        matching = {document["uuid"] for document in store.query(criteria)}
        for content in stored:
            if decode(content)["uuid"] in matching:
                for alternatives in list_needles(criteria):
                    assert any(needle in content for needle in alternatives)


def test_rows_are_counted_without_decoding_them(tmp_path: Path) -> None:
    store = EmbeddedStore("docs", database_path=str(tmp_path))
    store.connect()
    assert store.count_rows() == 0

    store.update(DOCUMENTS, key=["uuid", "index"])

    assert store.count_rows() == len(DOCUMENTS)
