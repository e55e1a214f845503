"""The small study on the stores of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jobflow import run_locally

from nextrung.adapters.stores.job_store import make_indexes
from nextrung.adapters.stores.studies import load_documents, load_study
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


def find_bytes(value: object) -> list[bytes | str]:
    """Bytes, and what GridFSStore makes of bytes: their ``repr``, without an error."""
    if isinstance(value, dict):
        return [found for item in value.values() for found in find_bytes(item)]
    if isinstance(value, list):
        return [found for item in value for found in find_bytes(item)]
    broken = isinstance(value, str) and value.startswith(("b'", 'b"'))
    return [value] if isinstance(value, bytes) or broken else []  # type: ignore[list-item]


def largest_document(store: JobStore) -> int:
    """Size of the largest document in bytes."""
    sizes = [{"$project": {"size": {"$bsonSize": "$$ROOT"}}}]
    found = store.docs_store._collection.aggregate(sizes)
    return max(int(row["size"]) for row in found)


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

    assert find_bytes(list(mongo_store.query(load=True))) == []
    assert largest_document(mongo_store) < 100_000  # MongoDB refuses 16 MB
    stored: dict[str, Any] = load_documents(mongo_store, load_study(mongo_store))
    assert set(stored) == set(documents)
    assert contents(stored) == contents(documents)
    for model in study_settings.models:
        found, expected = (
            group[f"stability/{model}"].rows.predicted_energy_per_atom.tolist()
            for group in (stored, documents)
        )
        assert found == pytest.approx(expected, abs=1e-3)


def test_indexes_are_made(mongo_store: JobStore) -> None:
    assert make_indexes(mongo_store) == [
        "uuid",
        "name",
        "hosts",
        "metadata.study",
        "output.results.study",
        "output.provenance.fingerprint",
        "output.checkpoint.sha256",
        "output.plan.checkpoint.sha256",
        "metadata.sequence",
    ]
    indexes = mongo_store.docs_store._collection.index_information()
    assert any("output.provenance.fingerprint" in name for name in indexes)


def test_answers_are_looked_up_in_an_index(mongo_store: JobStore) -> None:
    make_indexes(mongo_store)
    documents = [{"uuid": str(n), "index": 1, "output": {}} for n in range(9)]
    mongo_store.update(documents, key=["uuid", "index"])

    looked_up = mongo_store.docs_store._collection.find(
        {"output.provenance.fingerprint": "f"}
    )

    plan = looked_up.explain()["queryPlanner"]["winningPlan"]
    assert plan["inputStage"]["indexName"].startswith("output.provenance.fingerprint")
