from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from nextrung.adapters.cluster.checks.store import check_store, installed_version
from nextrung.adapters.stores.job_store import (
    INDEXED_FIELDS,
    make_embedded_store,
    make_indexes,
)

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore
    from maggma.core import Store

    from nextrung.schemas.cluster.checks import Finding


def examine(store: JobStore) -> dict[str, Finding]:
    """Findings by subject."""
    return {found.subject: found for found in check_store(store, ("torch",))}


def filled_by(torch: str) -> dict[str, Any]:
    """A document of a job that ran with a version of torch."""
    provenance = {"versions": {"torch": torch, "ase": "0"}}
    return {"uuid": torch, "index": 1, "output": {"provenance": provenance}}


@pytest.mark.mongo
def test_the_write_check_leaves_no_documents(mongo_store: JobStore) -> None:
    found = examine(mongo_store)["store writable"]

    assert found.level == "ok"
    assert mongo_store.count() == 0
    data: Store = mongo_store.additional_stores["data"]  # type: ignore[has-type]
    assert data.count() == 0


@pytest.mark.mongo
def test_missing_indexes_are_listed_with_the_command_that_creates_them(
    mongo_store: JobStore,
) -> None:
    mongo_store.ensure_index(INDEXED_FIELDS[0])

    found = examine(mongo_store)["indexes"]

    assert (found.level, "`nextrung init`" in found.advice) == ("warn", True)
    assert found.found == f"none on {', '.join(INDEXED_FIELDS[1:])}"
    make_indexes(mongo_store)
    assert examine(mongo_store)["indexes"].level == "ok"


def test_an_embedded_store_needs_no_index(tmp_path: Path) -> None:
    found = examine(make_embedded_store(tmp_path))

    assert {one.level for one in found.values()} == {"ok"}


def test_a_store_that_cannot_be_written_fails(
    job_store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_inputs: object, **_options: object) -> None:
        raise RuntimeError("not authorized")

    monkeypatch.setattr(job_store.docs_store, "update", refuse)

    found = examine(job_store)["store writable"]

    assert (found.level, found.found) == ("fail", "not authorized")


def test_a_store_that_changes_arrays_fails(
    job_store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_store, "get_output", lambda *_, **__: {"rows": "b'1'"})

    assert examine(job_store)["store writable"].level == "fail"


def test_documents_of_other_versions_are_reported(job_store: JobStore) -> None:
    job_store.update([filled_by("0.1")], save=False)

    found = examine(job_store)["versions in the store"]

    assert found.level == "warn"
    here = version("torch")
    assert found.found == f"the newest document has torch 0.1, here {here}"


def test_documents_of_the_same_versions_are_fine(job_store: JobStore) -> None:
    job_store.update([filled_by(version("torch"))], save=False)

    assert examine(job_store)["versions in the store"].level == "ok"


def test_a_missing_package_has_no_version() -> None:
    assert installed_version("no-such-package") == "none"
