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
def study_jobs(
    job_store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[StudyJob]:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    store_study(job_store, tmp_path)
    return list_study_jobs(job_store)


def load(store: JobStore, study_job: StudyJob) -> dict[str, object]:
    output = store.get_output(study_job.uuid, load=True)
    return {"job": study_job, "output": output, "dataset": None}


@pytest.mark.parametrize(
    "collection", [each for each in Collection if each is not Collection.BENCHMARKS]
)
def test_every_document_has_rows_of_its_collection(
    collection: Collection, study_jobs: list[StudyJob], job_store: JobStore
) -> None:
    source = select_sources(study_jobs, collection)[0]

    rows = list_rows(load(job_store, source), collection)

    assert rows
    assert {type(row) for row in rows} == {ROWS[collection]}
    assert {row.job_uuid for row in rows} == {source.uuid}


def test_relaxed_volumes_are_read_from_the_file(
    study_jobs: list[StudyJob], job_store: JobStore
) -> None:
    """The stored structures are a tenth larger than before relaxation."""
    source = select_sources(study_jobs, Collection.RELAXATIONS)[0]

    rows = list_rows(load(job_store, source), Collection.RELAXATIONS)

    for row in rows:
        values = row.model_dump()
        assert values["initial_volume_per_atom"] == pytest.approx(VOLUME)
        assert values["volume_per_atom"] == pytest.approx(1.1 * VOLUME)


def test_the_source_version_depends_on_time_job_and_collection(
    study_jobs: list[StudyJob],
) -> None:
    first, second = study_jobs[:2]

    computed = first.provenance["completed_at"]
    assert computed in source_version(first, Collection.JOBS)
    assert source_version(first, Collection.JOBS) != source_version(
        second, Collection.JOBS
    )
    assert source_version(first, Collection.JOBS) != source_version(
        first, Collection.STABILITY
    )
