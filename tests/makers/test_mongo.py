"""The small study on the stores of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jobflow import run_locally

from nextrung.adapters.results import load_documents, load_study
from nextrung.adapters.stores import make_indexes
from nextrung.makers.study import StudyMaker

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore

    from nextrung.schemas.study import StudySettings

pytestmark = pytest.mark.mongo

#: Fields that differ between two runs of the same jobs.
MEASURED = {"provenance", "relaxation_time", "history"}

#: Stages without relaxations, whose last bits depend on where arrays lie in memory.
EXACT_STAGES = ("dataset", "atom_refs", "fine_tuning")


def contents(documents: dict[str, Any]) -> dict[str, Any]:
    """What documents say, but for when and how fast it was computed."""
    return {
        part: {
            name: value
            for name, value in document.model_dump(exclude=MEASURED).items()
            if name != "records"
        }
        for part, document in documents.items()
        if part.startswith(EXACT_STAGES)
    }


def test_study_is_the_same_on_mongo_and_gridfs(
    mongo_store: JobStore,
    study_settings: StudySettings,
    documents: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    flow = StudyMaker(study_settings).make()

    run_locally(flow, store=mongo_store, log=False, raise_immediately=True)

    stored: dict[str, Any] = load_documents(mongo_store, load_study(mongo_store))
    assert set(stored) == set(documents)
    assert contents(stored) == contents(documents)
    for model in study_settings.models:
        found, expected = (
            [row.predicted_energy_per_atom for row in group[f"stability/{model}"].rows]
            for group in (stored, documents)
        )
        assert found == pytest.approx(expected, abs=1e-3)


def test_indexes_are_made(mongo_store: JobStore) -> None:
    assert make_indexes(mongo_store) == [
        "uuid",
        "name",
        "hosts",
        "output.provenance.fingerprint",
        "output.checkpoint.sha256",
    ]
    indexes = mongo_store.docs_store._collection.index_information()
    assert any("output.provenance.fingerprint" in name for name in indexes)
