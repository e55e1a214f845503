from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_artifact
from tests.stored_study import store_study

from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.provenance import trace_provenance
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobflow import JobStore


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("mongo", marks=pytest.mark.mongo)]
)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JobStore]:
    """The stored study and its collections, in either kind of store."""
    folder = tmp_path_factory.mktemp("lineage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(folder))
        opened = make_embedded_store(folder)
        if request.param == "mongo":
            opened = request.getfixturevalue("mongod").database().job_store()
            opened.connect()
        store_study(opened, folder)
        build_collections(opened)
    yield opened
    opened.close()  # type: ignore[no-untyped-call]


def test_a_row_is_traced_back_to_the_frames(store: JobStore) -> None:
    lineage = trace_provenance(store, "demo/scratch/m-Li2O")

    assert set(lineage.rows) == {"residuals", "relaxations", "stability"}
    assert lineage.rows["stability"]["formula"] == "Li2O"
    # m-Li2O is the fourth material: shard 1 has every second one
    assert set(lineage.results) == {
        "fingerprint-of-evaluation/scratch",
        "fingerprint-of-relaxation/scratch/1",
        "fingerprint-of-stability/scratch",
    }
    dataset = lineage.nodes["fingerprint-of-dataset"]
    assert dataset.artifacts["frames"] == make_artifact("frames")
    assert dataset.facts["labels"] == "distilled from chgnet-r2scan"
    assert dataset.settings is not None
    assert dataset.settings["curation"]["functional"] == "r2SCAN"
    assert lineage.missing == ()


def test_a_model_is_found_by_study_and_model(store: JobStore) -> None:
    lineage = trace_provenance(store, "demo/scratch")

    assert set(lineage.rows) == {"models"}
    assert lineage.results == ("fingerprint-of-fine_tuning/scratch",)


@pytest.mark.parametrize(
    "identifier",
    ["uuid-of-shard/scratch/1", "fingerprint-of-relaxation/scratch/1"],
    ids=["uuid", "fingerprint"],
)
def test_a_shard_has_its_number_and_its_model(store: JobStore, identifier: str) -> None:
    lineage = trace_provenance(store, identifier)

    (result,) = lineage.results
    shard = lineage.nodes[result]
    assert (shard.model, shard.facts["shard"]) == ("scratch", "2 of 2")
    assert shard.provenance.host == "host"
    assert shard.parents["model"] == "fingerprint-of-fine_tuning/scratch"
    assert set(lineage.nodes) == {
        result,
        "fingerprint-of-dataset",
        "fingerprint-of-fine_tuning/scratch",
    }


def test_a_planning_job_leads_to_the_merged_result(store: JobStore) -> None:
    lineage = trace_provenance(store, "uuid-of-relaxation/scratch")

    assert lineage.results == ("fingerprint-of-relaxation/scratch",)
    assert "fingerprint-of-relaxation/scratch/0" in lineage.nodes


def test_a_checkpoint_is_found_by_its_hash(store: JobStore) -> None:
    """All checkpoints of the generated study have the same hash."""
    lineage = trace_provenance(store, "0" * 64)

    documents = {lineage.nodes[result].document for result in lineage.results}
    assert documents == {"FineTuningDoc"}
    assert "fingerprint-of-dataset" in lineage.nodes


def test_the_fingerprint_of_a_missing_input_is_reported(
    job_store: JobStore,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path_factory.mktemp("gone")
    monkeypatch.setenv("NEXTRUNG_ROOT", str(folder))
    store_study(job_store, folder)
    job_store.remove_docs({"uuid": "uuid-of-dataset"})

    lineage = trace_provenance(job_store, "uuid-of-fine_tuning/scratch")

    assert lineage.missing == ("fingerprint-of-dataset",)


@pytest.mark.parametrize("identifier", ["nothing", "demo/scratch/m-None", "0123abcd"])
def test_an_unknown_result_is_a_one_line_error(
    store: JobStore, identifier: str
) -> None:
    with pytest.raises(InputError, match=f"got {identifier}, which the store does"):
        trace_provenance(store, identifier)
