from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from jobflow.core.schemas import JobStoreDocument
from tests.made_up_study import make_documents, make_study

from nextrung.adapters.stores.insertion_order import insertion_key, next_number
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.studies import load_study
from nextrung.adapters.stores.study_jobs import list_study_jobs
from nextrung.adapters.stores.write_retries import RetryingJobStore

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore


@pytest.fixture(params=["embedded", pytest.param("mongo", marks=pytest.mark.mongo)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> JobStore:
    if request.param == "embedded":
        return make_embedded_store(tmp_path)
    return RetryingJobStore.wrap(request.getfixturevalue("mongo_store"))


def store_results(store: JobStore, uuid: str, hour: int) -> None:
    """Store results as a machine does whose clock shows this hour."""
    study = make_study(make_documents())
    clock = f"2026-01-01T{hour:02}:00:00"
    provenance = study.provenance.model_copy(
        update={"completed_at": f"{clock}+00:00", "fingerprint": uuid}
    )
    document = study.model_copy(update={"provenance": provenance})
    stored = JobStoreDocument(
        uuid=uuid,
        index=1,
        name="gather results",
        output=document.model_dump(mode="json") | {"@class": "StudyDoc"},
        completed_at=clock,
        metadata={"study": "demo", "part": "study"},
        hosts=[],
    )
    store.update(stored, key=["uuid", "index"])


def test_the_study_stored_last_is_the_newest_whatever_the_clocks(
    store: JobStore,
) -> None:
    store_results(store, "fast clock", hour=14)
    store_results(store, "slow clock", hour=12)

    assert load_study(store).provenance.fingerprint == "slow clock"
    assert [job.uuid for job in list_study_jobs(store)] == ["fast clock", "slow clock"]


def test_a_document_that_is_stored_again_is_the_newest(store: JobStore) -> None:
    store_results(store, "a", hour=1)
    store_results(store, "b", hour=2)
    store_results(store, "a", hour=1)

    assert load_study(store).provenance.fingerprint == "a"


def test_numbers_are_unique_between_threads(store: JobStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: next_number(store), range(20)))

    assert sorted(numbers) == list(range(1, 21))


def test_a_lost_counter_continues_after_the_greatest_number(tmp_path: Path) -> None:
    store = make_embedded_store(tmp_path)
    store_results(store, "a", hour=1)
    store_results(store, "b", hour=2)
    (tmp_path / "store" / "sequence.sqlite").unlink()

    assert next_number(store) == 3


def test_documents_without_a_number_are_older_and_ordered_by_utc() -> None:
    computed: list[dict[str, Any]] = [
        {
            "completed_at": local,
            "output": {"provenance": {"completed_at": utc}},
        }
        for local, utc in [
            ("2026-01-01T12:00:00", "2026-01-01T03:00:00+00:00"),
            ("2026-01-01T04:00:00", "2026-01-01T04:00:00+00:00"),
        ]
    ]
    numbered: dict[str, Any] = {
        "completed_at": "2025",
        "metadata": {"sequence": 1},
        "output": None,
    }

    assert sorted([numbered, *computed[::-1]], key=insertion_key) == [
        *computed,
        numbered,
    ]
