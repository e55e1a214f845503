from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.stored_study import VOLUME, store_study

from nextrung.adapters.stores.rows import list_rows, select_sources, source_version
from nextrung.adapters.stores.study_jobs import list_study_jobs
from nextrung.schemas.stores.collections import ROWS, Collection

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore

    from nextrung.adapters.stores.study_jobs import StudyJob


@pytest.fixture
def members(
    job_store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[StudyJob]:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    store_study(job_store, tmp_path)
    return list_study_jobs(job_store)


def load(store: JobStore, member: StudyJob) -> dict[str, object]:
    output = store.get_output(member.job.uuid, load=True)
    return {"member": member, "output": output, "dataset": None}


@pytest.mark.parametrize("collection", Collection)
def test_every_source_gives_rows_of_its_collection(
    collection: Collection, members: list[StudyJob], job_store: JobStore
) -> None:
    source = select_sources(members, collection)[0]

    rows = list_rows(load(job_store, source), collection)

    assert rows
    assert {type(row) for row in rows} == {ROWS[collection]}
    assert {row.job_uuid for row in rows} == {source.job.uuid}


def test_relaxed_volumes_come_from_the_file(
    members: list[StudyJob], job_store: JobStore
) -> None:
    """The stored structures are a tenth larger than before relaxation."""
    source = select_sources(members, Collection.RELAXATIONS)[0]

    rows = list_rows(load(job_store, source), Collection.RELAXATIONS)

    for row in rows:
        values = row.model_dump()
        assert values["initial_volume_per_atom"] == pytest.approx(VOLUME)
        assert values["volume_per_atom"] == pytest.approx(1.1 * VOLUME)


def test_a_stamp_tells_when_the_document_was_stored(members: list[StudyJob]) -> None:
    first, second = members[:2]

    assert first.job.stored_at in source_version(first, Collection.JOBS)
    assert source_version(first, Collection.JOBS) != source_version(
        second, Collection.JOBS
    )
    assert source_version(first, Collection.JOBS) != source_version(
        first, Collection.STABILITY
    )
