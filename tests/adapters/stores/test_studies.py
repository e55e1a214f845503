from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nextrung.adapters.stores.studies import (
    DOCUMENTS,
    _list_studies,
    load_documents,
    load_study,
)
from nextrung.schemas.atom_refs import AtomRefDoc, AtomRefSettings
from nextrung.schemas.base import InputError, Provenance
from nextrung.schemas.models import Rereference
from nextrung.schemas.study import (
    DatasetSummary,
    StudyDoc,
    StudyResults,
    StudySettings,
)

if TYPE_CHECKING:
    from jobflow import JobStore

    from nextrung.schemas.base import TaskDoc

PROVENANCE = Provenance(
    fingerprint="f" * 64,
    versions={},
    host="host",
    device="cpu",
    completed_at="2026-01-01T00:00:00+00:00",
    wall_time=0,
)


def add(store: JobStore, uuid: str, document: TaskDoc, day: int = 1) -> None:
    store.update(
        {
            "uuid": uuid,
            "index": 1,
            "name": "job",
            "output": document.model_dump(mode="json"),
            "completed_at": f"2026-01-0{day}",
        },
        key=["uuid", "index"],
    )


def study(name: str, jobs: dict[str, str]) -> StudyDoc:
    fields = {
        name: field
        for name, field in DatasetSummary.model_fields.items()
        if field.is_required()
    }
    counts = dict.fromkeys(fields, 0)
    empty: dict[str, Any] = {
        name: {} for name, field in fields.items() if "dict" in str(field.annotation)
    }
    return StudyDoc(
        settings=StudySettings(name=name),
        results=StudyResults(
            study=name,
            labels="labels",
            source="source",
            dataset=DatasetSummary(**(counts | empty | {"rejections": []})),
            models={},
            alignment=None,
            scaling_law=None,
            jobs=jobs,
        ),
        provenance=PROVENANCE,
    )


@pytest.fixture
def references() -> AtomRefDoc:
    return AtomRefDoc(
        settings=AtomRefSettings(kind=Rereference.NONE),
        functional="PBE",
        fit=None,
        previous={"H": -1.0},
        atom_refs={"H": -1.0},
        shift={"H": 0.0},
        provenance=PROVENANCE,
    )


def test_last_finished_study_is_loaded(job_store: JobStore) -> None:
    add(job_store, "a", study("first", {}), day=1)
    add(job_store, "b", study("second", {}), day=2)

    assert load_study(job_store).results.study == "second"
    assert load_study(job_store, "first").results.study == "first"
    assert _list_studies(job_store) == ["first", "second"]


def test_documents_are_loaded_by_stage(
    job_store: JobStore, references: AtomRefDoc
) -> None:
    add(job_store, "r", references)

    found = load_documents(job_store, study("s", {"atom_refs/refit": "r"}))

    assert found == {"atom_refs/refit": references}


def test_the_error_of_an_unknown_study_lists_the_known_ones(
    job_store: JobStore,
) -> None:
    add(job_store, "a", study("first", {}))

    with pytest.raises(InputError, match=r"a finished study other in .* got first"):
        load_study(job_store, "other")


def test_an_empty_store_has_no_study(job_store: JobStore) -> None:
    with pytest.raises(InputError, match=r"expected a finished study in .* got none"):
        load_study(job_store)


def test_the_error_of_a_missing_document_names_its_job(job_store: JobStore) -> None:
    with pytest.raises(InputError, match="expected the document of job gone"):
        load_documents(job_store, study("s", {"dataset": "gone"}))


def test_every_stage_has_a_document_class() -> None:
    assert len(set(DOCUMENTS.values())) == len(DOCUMENTS)
