"""Recipes compared by nested cross-validation on the small study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fireworks import Workflow
from jobflow import run_locally

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_materials
from nextrung.adapters.stores.job_store import close_store, make_embedded_store
from nextrung.adapters.stores.studies import load_documents, load_study
from nextrung.makers.recipes.comparison import RecipeComparisonMaker, cross_validate
from nextrung.makers.routing import kind_of
from nextrung.makers.submission import make_workflow
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Machine
from nextrung.schemas.dataset import DatasetDoc
from nextrung.schemas.models import Model
from nextrung.schemas.recipe_comparison import (
    RecipeComparisonDoc,
    RecipeComparisonSettings,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.study import StudySettings

FOLDS = RecipeComparisonSettings(folds=3)


@pytest.fixture
def compared(study_settings: StudySettings) -> StudySettings:
    """The small study with two recipes, none of which is the source."""
    models = (Model.SOURCE_RESIDUAL, Model.REFITTED_ATOM_REFS)
    return study_settings.model_copy(update={"models": models})


def test_every_recipe_is_scored_on_every_fold(
    compared: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    flow = RecipeComparisonMaker(compared, settings=FOLDS).make()
    store = make_embedded_store(tmp_path)
    run_locally(flow, store=store, log=False, raise_immediately=True)

    found = RecipeComparisonDoc.model_validate(store.get_output(flow.output.uuid))
    study = load_study(store, "small_recipes")
    folds = [
        load_documents(store, study, ("dataset",))["dataset"],
        *(
            DatasetDoc.model_validate(store.get_output(uuid))
            for part, uuid in study.results.jobs.items()
            if part.startswith("dataset/")
        ),
    ]
    tested = [
        name
        for fold in folds
        if isinstance(fold, DatasetDoc)
        for initial in [read_materials(artifact_path(fold.materials)).initial]
        for name in initial.material_ids[initial.splits == "test"].tolist()
    ]
    close_store(store)
    assert list(found.recipes) == ["source", "source_residual", "refitted_atom_refs"]
    assert found.recipes["source"].val_score == pytest.approx(1)
    assert [choice.split for choice in found.choices] == [0, 1, 2]
    assert len(folds) == 3
    assert len(tested) == len(set(tested))
    assert {each.reference for each in found.differences} <= {"source"}
    trained = found.recipes["refitted_atom_refs"]
    assert trained.processor_time is not None
    assert trained.processor_time > 0
    energies = [
        repeat.test["energy"] for repeat in study.results.repeats["source"].repeats
    ]
    assert found.recipes["source"].test["energy"] == pytest.approx(
        sum(energies) / len(energies)
    )


def test_a_comparison_runs_on_workers_as_a_study_does(compared: StudySettings) -> None:
    maker = RecipeComparisonMaker(compared, settings=FOLDS)
    settings = cross_validate(compared, FOLDS)

    workflow = make_workflow(settings, Machine(), {}, maker=maker)

    assert isinstance(workflow, Workflow)
    assert workflow.metadata["study"] == "small_recipes"
    routes = {job.name: job.spec["_category"] for job in workflow.fws}
    assert kind_of("gather results of recipes") == "results"
    assert routes["gather results of recipes"] == routes["gather results"]
    assert len([name for name in routes if name.startswith("fine tune")]) == 3


def test_seeds_of_folds_start_at_a_multiple_of_their_number(
    compared: StudySettings,
) -> None:
    split = compared.dataset.split.model_copy(update={"seed": 2})
    dataset = compared.dataset.model_copy(update={"split": split})

    crossed = cross_validate(compared.model_copy(update={"dataset": dataset}), FOLDS)

    assert crossed.split_seeds == (6, 7, 8)
    assert crossed.models[0] is Model.SOURCE
    left_out = (crossed.relaxation, crossed.density, crossed.scaling_law)
    assert left_out == (None, None, None)


def test_the_source_alone_is_rejected(study_settings: StudySettings) -> None:
    alone = study_settings.model_copy(update={"models": (Model.SOURCE,)})

    with pytest.raises(InputError, match="models: expected recipes to compare"):
        cross_validate(alone, FOLDS)
