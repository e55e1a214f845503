from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import run_locally

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.relaxation_table import read_relaxations
from nextrung.makers.relaxation import MergeMaker, Throughput, _choose_shards
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import (
    RelaxationRecord,
    RelaxationStatus,
    ShardDoc,
)
from nextrung.schemas.study import StudyRelaxationSettings

if TYPE_CHECKING:
    from jobflow import JobStore


def read_shards(store: JobStore, model: str) -> list[ShardDoc]:
    found = store.query({"output.plan.model": model}, ["output"])
    return [ShardDoc.model_validate(document["output"]) for document in found]


def test_every_material_is_relaxed_once(
    documents: dict[str, Any], finished_store: JobStore
) -> None:
    relaxation = documents["relaxation/source"]
    shards = read_shards(finished_store, "source")
    records = read_relaxations(artifact_path(relaxation.records))

    assert len(shards) == 2
    assert sum(shard.n_materials for shard in shards) == len(records)
    assert len(records) == relaxation.n_materials == documents["dataset"].n_materials
    assert relaxation.statuses["converged"] > 0
    assert sum(relaxation.statuses.values()) == len(records)


def test_shards_name_what_they_came_from(
    documents: dict[str, Any], finished_store: JobStore
) -> None:
    for shard in read_shards(finished_store, "scratch"):
        model = documents["fine_tuning/scratch"]
        assert shard.plan.checkpoint == model.checkpoint
        assert shard.plan.parents["model"] == model.provenance.fingerprint


def test_missing_shard_is_an_error_that_names_materials(
    finished_store: JobStore, job_store: JobStore
) -> None:
    shards = read_shards(finished_store, "source")

    absent = shards[1].plan.shard + 1
    with pytest.raises(
        InputError,
        match=rf"got none of .* missing; shards {absent} are absent\)",
    ):
        run_locally(
            MergeMaker().make(shards[:1]),
            store=job_store,
            log=False,
            raise_immediately=True,
        )


@pytest.mark.parametrize("change", ["settings", "plan"])
def test_shards_of_different_relaxations_are_not_joined(
    finished_store: JobStore, job_store: JobStore, change: str
) -> None:
    first, second = read_shards(finished_store, "source")
    others = {
        "settings": second.settings.model_copy(update={"fmax": 0.01}),
        "plan": second.plan.model_copy(update={"model": "scratch"}),
    }
    other = second.model_copy(update={change: others[change]})

    with pytest.raises(InputError, match=r"shards of one relaxation, got shard \d of"):
        run_locally(
            MergeMaker().make([first, other]),
            store=job_store,
            log=False,
            raise_immediately=True,
        )


def test_progress_counts_failures_structures_left_and_structures_per_second() -> None:
    record = RelaxationRecord(
        status=RelaxationStatus.CONVERGED, energy=-1.0, structure=None, n_steps=3
    )
    lost = record.model_copy(
        update={"status": RelaxationStatus.NON_FINITE, "energy": None}
    )
    pace = Throughput(4, [record])
    assert pace.describe() == "0 failed, 3 left, 0 structures/s"

    pace.add(lost)
    text = pace.describe()
    assert text.startswith("1 failed, 2 left, ")
    assert float(text.split()[4]) > 0


def test_a_machine_with_gpus_cuts_larger_shards_than_the_study(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = StudyRelaxationSettings(materials_per_shard=1000)
    assert _choose_shards(34_927, settings) == 35

    monkeypatch.setenv("NEXTRUNG_MATERIALS_PER_SHARD", "20000")
    assert _choose_shards(34_927, settings) == 2


def test_progress_takes_no_longer_after_many_relaxations() -> None:
    """A sum over all finished relaxations would take 100 times as long."""
    record = RelaxationRecord(
        status=RelaxationStatus.CONVERGED, energy=-1.0, structure=None, n_steps=3
    )
    few, many = Throughput(10**5, [record] * 100), Throughput(10**5, [record] * 10_000)

    def count_calls(pace: Throughput) -> int:
        calls = []
        sys.setprofile(lambda *_: calls.append(1))
        try:
            pace.add(record)
            pace.describe()
        finally:
            sys.setprofile(None)
        return len(calls)

    few.add(record)  # imports what is imported once
    assert count_calls(many) == count_calls(few)
