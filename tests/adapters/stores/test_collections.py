from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from maggma.stores import MontyStore
from pymongo.errors import DuplicateKeyError

from nextrung.adapters.stores.collections import (
    BUILDER_STATE,
    INDEXES,
    ensure_indexes,
    ensure_state_index,
    open_collection,
    remove_rows,
    replace_rows,
)
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.schemas.base import InputError
from nextrung.schemas.stores.collections import KEYS, Collection

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore


def rows(job: str, *models: str) -> list[dict[str, object]]:
    return [{"study": "s", "job_uuid": job, "model": model} for model in models]


@pytest.fixture(params=["embedded", pytest.param("mongo", marks=pytest.mark.mongo)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> JobStore:
    if request.param == "embedded":
        return make_embedded_store(tmp_path)
    opened: JobStore = request.getfixturevalue("mongo_store")
    return opened


def test_rows_replace_those_of_the_same_document(store: JobStore) -> None:
    job = [{"study": "s", "job_uuid": "a"}]
    with open_collection(store, "models") as target:
        replace_rows(target, rows("a", "x", "y"), job, key=("study", "model"))
        replace_rows(target, rows("a", "x", "y"), job, key=("study", "model"))

        assert sorted(row["model"] for row in target.query()) == ["x", "y"]


def test_rows_can_be_removed_from_an_empty_collection(store: JobStore) -> None:
    with open_collection(store, "models") as target:
        remove_rows(target, {"study": "s"})
        replace_rows(target, rows("a", "x"), [{"job_uuid": "a"}], key=("model",))
        remove_rows(target, {"study": "s"})

        assert target.count() == 0


@pytest.mark.mongo
@pytest.mark.parametrize("collection", Collection)
def test_keys_and_queries_have_indexes(
    collection: Collection, mongo_store: JobStore
) -> None:
    with open_collection(mongo_store, collection.value) as target:
        ensure_indexes(target, collection)
        ensure_indexes(target, collection)
        made = target._collection.index_information().values()

    fields = {tuple(name for name, _ in index["key"]) for index in made}
    assert fields >= {KEYS[collection], ("study", "job_uuid"), *INDEXES[collection]}
    assert next(index for index in made if index.get("unique"))["key"] == [
        (name, 1) for name in KEYS[collection]
    ]


@pytest.mark.mongo
def test_duplicates_in_the_builder_state_are_dropped_with_it(
    mongo_store: JobStore,
) -> None:
    """What was built is then built again; afterwards no entry can be there twice."""
    with open_collection(mongo_store, BUILDER_STATE) as state:
        raw = state._collection
        raw.insert_many([{"key": "a"}, {"key": "a"}, {"key": "b"}])

        ensure_state_index(state)

        assert state.count() == 0
        raw.insert_one({"key": "a"})
        ensure_state_index(state)
        assert state.count() == 1
        with pytest.raises(DuplicateKeyError):
            raw.insert_one({"key": "a"})


def test_embedded_collections_are_in_the_database_of_the_documents(
    tmp_path: Path,
) -> None:
    with open_collection(make_embedded_store(tmp_path), "models") as target:
        ensure_indexes(target, Collection.MODELS)

        assert isinstance(target, MontyStore)
        assert target.database_path == str(tmp_path / "store")


def test_documents_of_jobs_are_never_overwritten(tmp_path: Path) -> None:
    store = make_embedded_store(tmp_path)
    store.docs_store.collection_name = "jobs"

    with (
        pytest.raises(InputError, match="expected another collection than `jobs`"),
        open_collection(store, "jobs"),
    ):
        pass
