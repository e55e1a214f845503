from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jobflow import OutputReference
from tests.made_up_study import make_density, make_documents, make_evaluation
from tests.stored_study import store_study

from nextrung.makers.jobs.inputs import resolve_without_arrays
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model
from nextrung.schemas.stability import StabilityDoc

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore


@pytest.fixture
def store(
    job_store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> JobStore:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    store_study(job_store, tmp_path)
    return job_store


def test_documents_come_without_their_rows(store: JobStore) -> None:
    parts = {
        name: OutputReference(f"uuid-of-{name}/source")
        for name in ("evaluation", "density", "stability")
    }

    found, number = resolve_without_arrays((parts, 3), store)

    evaluation, density = (
        make_evaluation(Model.SOURCE, 2.3),
        make_density(Model.SOURCE, 2.3),
    )
    assert found["evaluation"].metrics == evaluation.metrics
    assert found["evaluation"].rows.frame_id == []
    assert found["density"] == density.model_copy(update={"rows": []})
    assert type(found["stability"]) is StabilityDoc
    assert number == 3


def test_documents_without_rows_come_whole(store: JobStore) -> None:
    names = ["uuid-of-dataset", "uuid-of-scaling_law"]

    found = resolve_without_arrays([OutputReference(name) for name in names], store)

    documents = make_documents()
    assert found == [documents["dataset"], documents["scaling_law"]]


def test_a_reference_to_a_planner_leads_to_the_merge(store: JobStore) -> None:
    found = resolve_without_arrays(OutputReference("uuid-of-relaxation/source"), store)

    assert found.provenance.fingerprint == "fingerprint-of-relaxation/source"


def test_a_missing_document_is_named(store: JobStore) -> None:
    with pytest.raises(InputError, match="the document of job nothing, got none"):
        resolve_without_arrays([OutputReference("nothing")], store)
