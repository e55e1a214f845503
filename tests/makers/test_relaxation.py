from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jobflow import run_locally

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.relaxation_table import read_relaxations
from nextrung.makers.relaxation import MergeMaker, Throughput
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import (
    RelaxationRecord,
    RelaxationStatus,
    ShardDoc,
)

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
    finished = {"a": record}
    pace = Throughput(["a", "b", "c", "d"], finished)
    assert pace.describe() == "0 failed, 3 left, 0 structures/s"

    finished |= {"b": lost}
    text = pace.describe()
    assert text.startswith("1 failed, 2 left, ")
    assert float(text.split()[4]) > 0
