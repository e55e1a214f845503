"""A loop on the small study, with its teacher as the engine."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fireworks import LaunchPad
from fireworks.core.rocket import Rocket
from jobflow import run_locally

from nextrung.adapters.curation.joined_dataset import join_labels
from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.frames import read_frames, write_frames
from nextrung.adapters.sources.distilled import make_crystals
from nextrung.adapters.stores.studies import load_improvement
from nextrung.makers.improvement import labels
from nextrung.makers.improvement.flow import ImprovementMaker
from nextrung.makers.improvement.labels import LabelAdditionMaker
from nextrung.schemas.frames import Frames
from nextrung.schemas.improvement import (
    ImprovementDoc,
    ImprovementSettings,
    LabelAdditionSettings,
    LabelledDatasetDoc,
    PotentialLabels,
    StopReason,
    Strategy,
)
from nextrung.schemas.labels.sources import DistilledSource
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import Flow, JobStore

    from nextrung.schemas.base import Artifact
    from nextrung.schemas.study import StudySettings

SETTINGS = ImprovementSettings(
    engine=PotentialLabels(),
    budget=3,
    batch=2,
    target=1e-9,
    model=Model.SOURCE_RESIDUAL,
)


def store_pool(frames: Frames, folder: Path) -> Artifact:
    write_frames(frames, folder / "pool.parquet")
    return store_artifact(folder / "pool.parquet", "pools")


@pytest.fixture
def pool(finished_store: JobStore, tmp_path: Path) -> Artifact:  # noqa: ARG001 - its run folder
    """Crystals of Mg and O, and one whose atoms are too far apart to predict."""
    source = DistilledSource(chemical_systems=("Mg-O",), max_atoms=4, seed=5)
    crystals = make_crystals(source.model_copy(update={"n_materials_per_system": 12}))
    gas = next(iter(crystals.values())).copy()
    gas.scale_lattice(8000.0 * len(gas))
    named = {f"pool {name}": crystal for name, crystal in crystals.items()}
    named["gas"] = gas
    frames = Frames.from_structures([*named.values()], [*named])
    return store_pool(frames, tmp_path)


def run(flow: Flow, store: JobStore, *, raising: bool = True) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        run_locally(flow, store=store, log=False, raise_immediately=raising)


def load(flow: Flow, store: JobStore) -> ImprovementDoc:
    return ImprovementDoc.model_validate(store.get_output(flow.output.uuid))


def test_a_loop_spends_its_budget_and_documents_every_round(
    pool: Artifact, study_settings: StudySettings, finished_store: JobStore
) -> None:
    flow = ImprovementMaker(settings=SETTINGS, study=study_settings).make(pool)

    run(flow, finished_store)

    document = load(flow, finished_store)
    assert document == load_improvement(finished_store)
    assert (document.settings, document.study) == (SETTINGS, study_settings.name)
    assert document.stop is StopReason.BUDGET_SPENT
    assert document.batch is None
    assert [each.n_labels for each in document.rounds] == [0, 2, 3]
    first, second, last = document.rounds
    for before, after in ((first, second), (second, last)):
        assert [each.frame_id for each in before.chosen] == [
            each.frame_id for each in after.labels
        ]
        assert [each.rank for each in before.chosen] == [
            *range(1, len(before.chosen) + 1)
        ]
        assert all(each.error is None for each in after.labels)
        assert after.n_train_frames == before.n_train_frames + len(after.labels)
    assert last.chosen == []
    assert first.n_unpredictable == 1
    assert len({each.n_held_out_frames for each in document.rounds}) == 1
    listed = finished_store.query_one({"output.@class": "PoolDoc"})
    assert listed is not None
    excluded = {each["frame_id"] for each in listed["output"]["excluded"]}
    assert document.n_held_out_structures == listed["output"]["n_held_out"] > 0
    chosen = {each.frame_id for done in document.rounds for each in done.chosen}
    assert chosen.isdisjoint({*excluded, "gas"})

    again = ImprovementMaker(settings=SETTINGS, study=study_settings).make(pool)
    run(again, finished_store)

    assert load(again, finished_store) == document  # no job was computed again


def test_a_loop_that_was_killed_goes_on_where_it_stopped(
    pool: Artifact,
    study_settings: StudySettings,
    finished_store: JobStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed at the labels of round 2, it keeps those of round 1."""
    maker = ImprovementMaker(settings=SETTINGS, study=study_settings)
    with monkeypatch.context() as patch:
        # what a killed job changes in its process
        patch.setattr(Rocket, "run", Rocket.run)
        patch.setattr(LaunchPad, "run_exists", LaunchPad.run_exists)
        calls: list[Any] = []

        def die(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            calls.append(arguments)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return join_labels(*arguments, **options)

        patch.setattr(labels, "join_labels", die)
        with pytest.raises(KeyboardInterrupt):
            run(maker.make(pool), finished_store)
    query = {"output.@class": "LabelledDatasetDoc"}
    (kept,) = finished_store.query(query)

    flow = maker.make(pool)
    run(flow, finished_store)

    document = load(flow, finished_store)
    assert [each.n_labels for each in document.rounds] == [0, 2, 3]
    times = {
        found["uuid"]: found["output"]["provenance"]["completed_at"]
        for found in finished_store.query(query)
    }
    assert len(times) == 2
    assert times[kept["uuid"]] == kept["output"]["provenance"]["completed_at"]


def test_random_choice_depends_on_its_seed_alone(
    pool: Artifact, study_settings: StudySettings, finished_store: JobStore
) -> None:
    chosen = []
    for seed in (0, 0, 1):
        settings = SETTINGS.model_copy(
            update={"strategy": Strategy.RANDOM, "seed": seed, "budget": 2}
        )
        flow = ImprovementMaker(settings=settings, study=study_settings).make(pool)
        run(flow, finished_store)
        document = load(flow, finished_store)
        chosen.append([each.frame_id for each in document.rounds[0].chosen])

    assert chosen[0] == chosen[1] != chosen[2]


def test_a_committee_disagrees_by_its_seeds(
    pool: Artifact, study_settings: StudySettings, finished_store: JobStore
) -> None:
    settings = ImprovementSettings(
        engine=PotentialLabels(), budget=1, batch=1, target=1e-9, seeds=(0, 1)
    )
    flow = ImprovementMaker(settings=settings, study=study_settings).make(pool)

    run(flow, finished_store)

    first = load(flow, finished_store).rounds[0]
    assert [each.seed for each in first.members] == [0, 1]
    errors = [each.energy_mae for each in first.members]
    assert first.energy_mae == pytest.approx(np.mean(errors))
    (chosen,) = first.chosen
    assert chosen.disagreement > 0
    assert chosen.force_disagreement is not None


def test_a_failed_label_is_a_row_and_joins_no_data_set(
    study_settings: StudySettings,
    pool: Artifact,
    finished_store: JobStore,
    documents: dict[str, Any],
    tmp_path: Path,
) -> None:
    structures = read_frames(artifact_path(pool))
    batch = store_pool(structures[[0, len(structures) - 1]], tmp_path)
    settings = LabelAdditionSettings(
        engine=PotentialLabels(), dataset=study_settings.dataset
    )
    job = LabelAdditionMaker(settings=settings).make(documents["dataset"], batch, {})

    run(job, finished_store)

    joined = LabelledDatasetDoc.model_validate(finished_store.get_output(job.uuid))
    good, failed = joined.outcomes
    assert (good.n_frames, good.error) == (1, None)
    assert failed.frame_id == "gas"
    assert (failed.n_frames, failed.energy_per_atom) == (0, None)
    assert str(failed.error).startswith("failed_labelling: ")
    before = documents["dataset"]
    assert joined.n_frames == before.n_frames + 1
    frames = read_frames(artifact_path(joined.frames))
    assert frames.frame_ids.tolist()[-1] == good.frame_id
    assert frames.splits[-1] == "train"
    assert joined.n_materials == len({*frames.material_ids.tolist()})
