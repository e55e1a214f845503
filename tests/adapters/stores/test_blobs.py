from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.stores.blobs import find_arrays, remove_arrays
from nextrung.adapters.stores.job_store import make_embedded_store

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore


@pytest.fixture(params=["embedded", pytest.param("mongo", marks=pytest.mark.mongo)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> JobStore:
    opened: JobStore = (
        make_embedded_store(tmp_path)
        if request.param == "embedded"
        else request.getfixturevalue("mongo_store")
    )
    for uuid in ("a", "b"):
        document = {
            "uuid": uuid,
            "index": 1,
            "output": {"rows": [1, 2], "parts": [{"more": [3]}], "n": 2},
        }
        opened.update(document, key=["uuid", "index"], save={"data": ["rows", "more"]})
    return opened


def test_arrays_are_found_at_any_depth_of_a_document(store: JobStore) -> None:
    arrays = find_arrays(store, "a", 1)

    assert list(arrays) == ["data"]
    assert len(set(arrays["data"])) == 2
    assert not set(arrays["data"]) & set(find_arrays(store, "b", 1)["data"])


def test_a_job_without_document_has_no_arrays(store: JobStore) -> None:
    assert find_arrays(store, "a", 2) == {}
    remove_arrays(store, {})
    assert store.additional_stores["data"].count() == 4  # type: ignore[has-type]


def test_arrays_of_other_documents_are_kept(store: JobStore) -> None:
    remove_arrays(store, find_arrays(store, "a", 1))

    assert store.get_output("b", load=True)["rows"] == [1, 2]
    with pytest.raises(KeyError):
        store.get_output("a", load=True)
