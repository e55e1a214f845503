from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.stored_study import VOLUME, store_study

from nextrung.adapters.stores.rows import list_rows, select_sources, stamp_source
from nextrung.adapters.stores.study_jobs import list_members
from nextrung.schemas.stores.collections import ROWS, Collection

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore

    from nextrung.adapters.stores.study_jobs import Member


@pytest.fixture
def members(
    job_store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Member]:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    store_study(job_store, tmp_path)
    return list_members(job_store)


def load(store: JobStore, member: Member) -> dict[str, object]:
    output = store.get_output(member.job.uuid, load=True)
    return {"member": member, "output": output, "dataset": None}


@pytest.mark.parametrize("collection", Collection)
def test_every_source_gives_rows_of_its_collection(
    collection: Collection, members: list[Member], job_store: JobStore
) -> None:
    source = select_sources(members, collection)[0]

    rows = list_rows(load(job_store, source), collection)

    assert rows
    assert {type(row) for row in rows} == {ROWS[collection]}
    assert {row.job_uuid for row in rows} == {source.job.uuid}


def test_relaxed_volumes_come_from_the_file(
    members: list[Member], job_store: JobStore
) -> None:
    """The stored structures are a tenth larger than before relaxation."""
    source = select_sources(members, Collection.RELAXATIONS)[0]

    rows = list_rows(load(job_store, source), Collection.RELAXATIONS)

    for row in rows:
        values = row.model_dump()
        assert values["initial_volume_per_atom"] == pytest.approx(VOLUME)
        assert values["volume_per_atom"] == pytest.approx(1.1 * VOLUME)


def test_a_stamp_tells_when_the_document_was_stored(members: list[Member]) -> None:
    first, second = members[:2]

    assert first.job.stored_at in stamp_source(first, Collection.JOBS)
    assert stamp_source(first, Collection.JOBS) != stamp_source(second, Collection.JOBS)
    assert stamp_source(first, Collection.JOBS) != stamp_source(
        first, Collection.STABILITY
    )
