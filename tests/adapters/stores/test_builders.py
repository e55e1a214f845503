from __future__ import annotations

import logging
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.made_up_study import (
    MATERIALS,
    make_fine_tuning,
    make_provenance,
    make_stability,
)
from tests.stored_study import store_document, store_study

from nextrung.adapters.stores.builders import (
    build_collections,
    make_builders,
    run_builder,
)
from nextrung.adapters.stores.collections import open_collection, replace_rows
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model
from nextrung.schemas.stores.collections import KEYS, Collection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobflow import JobStore

N_MODELS = len(Model)


@pytest.fixture(params=["embedded", pytest.param("mongo", marks=pytest.mark.mongo)])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> JobStore:
    """The stored study, in either kind of store."""
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    opened: JobStore = (
        make_embedded_store(tmp_path)
        if request.param == "embedded"
        else request.getfixturevalue("mongo_store")
    )
    store_study(opened, tmp_path)
    return opened


def rows_of(
    store: JobStore, collection: Collection, criteria: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    with open_collection(store, collection.value) as target:
        found = list(target.query(criteria or {}))
    for row in found:
        row.pop("_id")
    return sorted(found, key=lambda row: [str(row[name]) for name in KEYS[collection]])


def kill_after_rows(write: Callable[..., None]) -> Callable[..., None]:
    """Raise after the first rows are written."""

    def killed(target: Any, *rows: Any, key: tuple[str, ...]) -> None:  # noqa: ANN401
        write(target, *rows, key=key)
        if key != ("key",):
            raise KeyboardInterrupt

    return killed


def all_rows(store: JobStore) -> dict[Collection, list[dict[str, Any]]]:
    return {collection: rows_of(store, collection) for collection in Collection}


def test_every_document_becomes_its_rows(store: JobStore) -> None:
    built = build_collections(store)

    assert built == {
        Collection.MODELS: N_MODELS,
        Collection.METRICS: 3 * N_MODELS,
        Collection.RESIDUALS: len(MATERIALS) * N_MODELS,
        Collection.RELAXATIONS: len(MATERIALS) * N_MODELS,
        Collection.STABILITY: len(MATERIALS) * N_MODELS,
        Collection.DENSITIES: 13 * N_MODELS,
        Collection.PHYSICS: 2,
        Collection.SCALING: 9,
        Collection.BENCHMARKS: 0,  # no part of a study
        # data set, two references, alignment, scaling law, study, physics of one; per
        # model: model, evaluation, two shards, their merge, hull, densities
        Collection.JOBS: 7 + 7 * N_MODELS,
    }
    assert {name: len(rows) for name, rows in all_rows(store).items()} == built


def test_a_second_build_writes_no_rows(store: JobStore) -> None:
    build_collections(store)
    first = all_rows(store)

    assert set(build_collections(store).values()) == {0}
    assert all_rows(store) == first


def test_only_a_document_that_was_computed_again_is_rebuilt(
    store: JobStore,
) -> None:
    build_collections(store)
    worse = make_stability(Model.SCRATCH, 0.5)
    provenance = worse.provenance.model_copy(update={"wall_time": 2.5})
    worse = worse.model_copy(update={"provenance": provenance})
    part = ("demo", "stability/scratch")
    uuid, when = "uuid-of-stability/scratch", "2025-12-31T00:00:00"
    store_document(store, worse, part, uuid=uuid, when=when)

    built = {name: count for name, count in build_collections(store).items() if count}

    assert built == {Collection.STABILITY: len(MATERIALS), Collection.JOBS: 1}
    (row,) = rows_of(
        store,
        Collection.STABILITY,
        {"model": "scratch", "material_id": "m-Li2O"},
    )
    assert row["decomposition_energy_error"] == pytest.approx(0.5)


def test_rows_of_an_outdated_document_are_removed(store: JobStore) -> None:
    build_collections(store)
    smaller = make_stability(Model.SCRATCH, 0.1)
    smaller = smaller.model_copy(
        update={
            "rows": smaller.rows.take(np.arange(4)),
            "provenance": make_provenance("smaller"),
        }
    )
    part, when = ("demo", "stability/scratch"), "2026-01-02T00:00:00"
    store_document(store, smaller, part, uuid="uuid-of-smaller", when=when)

    build_collections(store)

    rows = rows_of(store, Collection.STABILITY, {"model": "scratch"})
    assert {row["job_uuid"] for row in rows} == {"uuid-of-smaller"}
    assert len(rows) == 4
    others = rows_of(store, Collection.STABILITY, {"model": "source"})
    assert len(others) == len(MATERIALS)


def test_rows_that_a_killed_build_wrote_are_removed_with_their_document(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the builder state is updated, then outdated by a newer document."""
    with monkeypatch.context() as patch:
        patch.setattr(
            "nextrung.adapters.stores.builders.replace_rows",
            kill_after_rows(replace_rows),
        )
        with pytest.raises(KeyboardInterrupt):
            build_collections(store)
    smaller = make_fine_tuning(Model.SCRATCH, 0.1)
    smaller = smaller.model_copy(update={"provenance": make_provenance("smaller")})
    when = "2026-01-02T00:00:00"
    part = ("demo", "fine_tuning/scratch")
    store_document(store, smaller, part, uuid="uuid-of-smaller", when=when)

    build_collections(store)

    rows = rows_of(store, Collection.MODELS)
    assert len(rows) == N_MODELS
    assert "uuid-of-smaller" in {row["job_uuid"] for row in rows}


@pytest.mark.mongo
def test_builders_may_run_concurrently(
    mongo_store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    store_study(mongo_store, tmp_path)
    with ThreadPoolExecutor(2) as pool:
        for first, second in zip(
            make_builders(mongo_store), make_builders(mongo_store), strict=True
        ):
            copies = [pickle.loads(pickle.dumps(each)) for each in (first, second)]  # noqa: S301 - our own
            list(pool.map(run_builder, copies))

    built = {name: len(rows) for name, rows in all_rows(mongo_store).items()}
    assert built[Collection.STABILITY] == len(MATERIALS) * N_MODELS
    assert set(build_collections(mongo_store).values()) == {0}


def test_only_the_rows_of_a_missing_file_are_lost_until_the_next_build(
    store: JobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shard = store.query_one({"uuid": "uuid-of-shard/scratch/0"})
    assert shard is not None
    file = tmp_path / "artifacts" / shard["output"]["records"]["path"]
    content = file.read_bytes()
    file.unlink()
    caplog.set_level(logging.WARNING, logger="nextrung")

    with pytest.raises(InputError, match="not built: make relaxation/scratch: art"):
        build_collections(store)
    lost = rows_of(store, Collection.RELAXATIONS, {"model": "scratch"})
    file.write_bytes(content)
    again = build_collections(store)

    assert len(lost) == len(MATERIALS) // 2
    assert again[Collection.RELAXATIONS] == len(MATERIALS) - len(lost)
    assert sum(again.values()) == again[Collection.RELAXATIONS]


def test_the_row_of_a_model_has_the_data_set_of_its_training(store: JobStore) -> None:
    build_collections(store)

    (row,) = rows_of(store, Collection.MODELS, {"model": "refitted_atom_refs"})

    assert row["labels"] == "distilled from chgnet-r2scan"
    assert row["dataset_fingerprint"] == "fingerprint-of-dataset"
    assert row["n_train_frames"] == 21
    assert row["checkpoint_sha256"] == "0" * 64


def test_shared_jobs_belong_to_both_studies(store: JobStore, tmp_path: Path) -> None:
    store_study(store, tmp_path, name="later")  # its jobs now name the later study

    build_collections(store)

    for study in ("demo", "later"):
        rows = rows_of(store, Collection.RELAXATIONS, {"study": study})
        assert len(rows) == len(MATERIALS) * N_MODELS


def test_builders_can_be_pickled(store: JobStore) -> None:
    builder = make_builders(store)[3]
    unpickled = pickle.loads(pickle.dumps(builder))  # noqa: S301 - our own

    run_builder(unpickled)

    assert len(rows_of(store, Collection.RELAXATIONS)) == len(MATERIALS) * N_MODELS


def test_building_does_not_change_the_root_logger(store: JobStore) -> None:
    before = logging.getLogger().level, list(logging.getLogger().handlers)

    build_collections(store)

    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before
