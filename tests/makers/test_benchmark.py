"""Jobs of benchmarks in a store, their rows, and a second run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jobflow import run_locally

from nextrung.adapters.files.crystals.benchmark_facts import digest_benchmark
from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.queries import parse_query, run_query
from nextrung.makers.benchmark import BenchmarkMaker, make_benchmark_flow
from nextrung.makers.dataset import FramesFileMaker
from nextrung.makers.routing import kind_of
from nextrung.schemas.benchmark import BenchmarkDoc, BenchmarkSettings
from nextrung.schemas.stores.collections import Collection

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore

SETTINGS = BenchmarkSettings.model_validate(
    {
        "crystals": ["NaCl rocksalt"],
        "properties": ["density", "formation_enthalpy"],
        "relaxation": {"fmax": 0.1},
    }
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    return make_embedded_store(tmp_path)


def run(store: JobStore, frames: Path | None = None) -> list[BenchmarkDoc]:
    dataset = None if frames is None else FramesFileMaker(path=str(frames)).make()
    flow = make_benchmark_flow(["chgnet-0.3.0", "chgnet-r2scan"], SETTINGS, dataset)
    run_locally(flow, store=store, log=False, raise_immediately=True)
    return [
        BenchmarkDoc.model_validate(store.get_output(each.uuid, load=True))
        for each in flow.output
    ]


@pytest.mark.filterwarnings("ignore:Some jobs are not connected")
def test_documents_have_their_settings_and_rows_a_collection(store: JobStore) -> None:
    documents = run(store)

    assert [doc.model for doc in documents] == ["chgnet-0.3.0", "chgnet-r2scan"]
    assert {doc.labels for doc in documents} == {
        "GGA/GGA+U (MP2020-corrected)",
        "r2SCAN",
    }
    for doc in documents:
        assert doc.settings == SETTINGS
        assert len(doc.rows) == 2
        assert (doc.frames, doc.frame_labels) == (None, None)

    assert build_collections(store)[Collection.BENCHMARKS] == 4
    rows = run_query(store, parse_query("benchmarks", '{"model": "chgnet-r2scan"}'))
    assert {row["study"] for row in rows} == {"benchmark"}
    found = {row["property"]: row["value"] for row in rows}
    assert found == {row.property: row.value for row in documents[1].rows}


@pytest.mark.filterwarnings("ignore:Some jobs are not connected")
def test_a_second_run_is_answered_from_the_store(store: JobStore) -> None:
    first, again = run(store), run(store)

    assert [doc.provenance.completed_at for doc in first] == [
        doc.provenance.completed_at for doc in again
    ]


def test_jobs_are_routed_as_benchmarks() -> None:
    names = ["sevennet-mf-0/R2SCAN", "/a/b.pth.tar"]
    flow = make_benchmark_flow(names, SETTINGS)

    assert [job.name for job in flow.jobs] == [
        "benchmark sevennet-mf-0/R2SCAN",
        "benchmark b.pth.tar",
    ]
    assert {kind_of(job.name) for job in flow.jobs} == {"benchmark"}
    assert [job.metadata["part"] for job in flow.jobs] == [
        "benchmark/sevennet-mf-0/R2SCAN",
        "benchmark//a/b.pth.tar",
    ]


def test_the_digest_is_that_of_the_checkpoint_and_the_facts() -> None:
    old, new = (
        BenchmarkMaker(potential=name).digest_files()
        for name in ("chgnet-0.3.0", "chgnet-r2scan")
    )

    assert old != new
    assert old.endswith(digest_benchmark())
