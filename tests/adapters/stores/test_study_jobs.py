from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_provenance, make_stability
from tests.stored_study import store_document, store_study

from nextrung.adapters.stores.study_jobs import list_study_jobs, select_current
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import ShardDoc

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


def test_every_job_is_listed_once_per_study(store: JobStore) -> None:
    study_jobs = list_study_jobs(store)

    parts = {(job.study, job.part, job.uuid) for job in study_jobs}
    planners = store.count({"output.@class": "OutputReference"})
    assert len(parts) == len(study_jobs) == store.count() - planners
    assert ("demo", "stability/source", "uuid-of-stability/source") in parts
    assert {job.stage for job in study_jobs} >= {"relaxation", "dataset", "study"}


def test_the_shards_of_a_relaxation_belong_to_the_study_of_its_merge(
    store: JobStore, tmp_path: Path
) -> None:
    """The results refer to the planner, it to the merge, and the merge to shards."""
    before = list_study_jobs(store)
    store_study(store, tmp_path, name="later")  # all metadata now name the later study

    after = list_study_jobs(store)

    parts = {(m.part, m.uuid) for m in before if m.stage == "relaxation"}
    for study in ("demo", "later"):
        found = {
            (m.part, m.uuid)
            for m in after
            if m.stage == "relaxation" and m.study == study
        }
        assert found == parts


def test_the_newest_document_of_a_part_is_current(store: JobStore) -> None:
    newer = make_stability(Model.SOURCE, 0.1)
    newer = newer.model_copy(update={"provenance": make_provenance("newer")})
    when = "2026-02-01T00:00:00"
    part = ("demo", "stability/source")
    store_document(store, newer, part, uuid="newer", when=when)

    current = select_current(list_study_jobs(store), "StabilityDoc")

    uuids = {job.part: job.uuid for job in current}
    assert uuids["stability/source"] == "newer"
    assert uuids["stability/scratch"] == "uuid-of-stability/scratch"


def test_all_shards_of_the_newest_relaxation_are_current(store: JobStore) -> None:
    stored = store.query_one({"uuid": "uuid-of-shard/source/0"})
    assert stored is not None
    shard = ShardDoc.model_validate(stored["output"])
    plan = shard.plan.model_copy(update={"n_shards": 3})
    provenance = make_provenance("other shards")
    shard = shard.model_copy(update={"plan": plan, "provenance": provenance})

    before = select_current(list_study_jobs(store), "ShardDoc")
    part, when = ("demo", "relaxation/source"), "2026-02-01T00:00:00"
    store_document(store, shard, part, uuid="other", when=when)
    after = select_current(list_study_jobs(store), "ShardDoc")

    of_source = [m.uuid for m in after if m.part == "relaxation/source"]
    assert of_source == ["other"]
    assert len(before) == 2 * len(Model)
    assert len(after) == len(before) - 1


def test_parents_of_a_shard_are_those_of_its_plan(store: JobStore) -> None:
    (shard,) = [m for m in list_study_jobs(store) if m.uuid == "uuid-of-shard/source/1"]

    assert shard.parents["model"] == "fingerprint-of-fine_tuning/source"
    assert shard.model == "source"
