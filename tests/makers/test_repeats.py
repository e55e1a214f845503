"""Repeats of the trainings of a study on other seeds and splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from jobflow import Flow, Job
from pydantic import ValidationError
from tests.compute.intervals.simulated import errors_of
from tests.makers.conftest import run_study

from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.collections import describe_collection
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.studies import (
    load_documents,
    load_repeated_errors,
    load_study,
)
from nextrung.makers.fine_tuning import FineTuningMaker
from nextrung.makers.repeats import list_differences, list_repeats
from nextrung.makers.routing import kind_of
from nextrung.makers.study import StudyMaker
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.models import Model
from nextrung.schemas.repeats import BestModel, RepeatSettings
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobflow import JobStore

    from nextrung.compute.intervals import Errors

MODELS = (Model.SOURCE, Model.SOURCE_RESIDUAL, Model.SCRATCH)


@pytest.fixture(scope="session")
def repeated_settings(study_settings: StudySettings) -> StudySettings:
    """Two seeds on two splits of the small study, without relaxations."""
    return study_settings.model_copy(
        update={
            "name": "repeated",
            "models": MODELS,
            "repeats": RepeatSettings(seeds=(0, 4), splits=2),
            **dict.fromkeys(("relaxation", "stability", "density", "scaling_law")),
        }
    )


@pytest.fixture(scope="session")
def repeated_folder(
    tmp_path_factory: pytest.TempPathFactory, repeated_settings: StudySettings
) -> Path:
    """The run folder of the repeated study, finished."""
    folder = tmp_path_factory.mktemp("repeated")
    run_study(repeated_settings, folder)
    return folder


@pytest.fixture
def repeated_store(repeated_folder: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(repeated_folder))
    return make_embedded_store(repeated_folder)


def jobs_of(flow: Flow) -> Iterator[Job]:
    for member in flow.jobs:
        if isinstance(member, Flow):
            yield from jobs_of(member)
        else:
            yield member


def parts_of(flow: Flow) -> dict[str, Job]:
    return {job.metadata["part"]: job for job in jobs_of(flow)}


def test_every_recipe_is_trained_on_each_seed_and_split(
    repeated_settings: StudySettings,
) -> None:
    parts = parts_of(StudyMaker(repeated_settings).make())
    trained = {part: job for part, job in parts.items() if "scratch" in part}

    suffixes = ("", "/seed=4,split=0", "/seed=0,split=1", "/seed=4,split=1")
    stages = ("fine_tuning", "evaluation")
    model = "scratch"
    repeated = {f"{s}/{model}{suffix}" for s in stages for suffix in suffixes}
    assert set(trained) == repeated | {f"physics/{model}"}
    job = parts[f"fine_tuning/{model}/seed=4,split=1"]
    assert isinstance(job.maker, FineTuningMaker)
    assert job.maker.settings.seed == 4
    dataset, _, references = job.function_kwargs.values()
    assert dataset.uuid == parts["dataset/split=1"].uuid
    assert references.uuid == parts["atom_refs/refit/split=1"].uuid
    assert job.name == f"fine tune {model} seed=4,split=1"


def test_models_without_training_are_repeated_on_splits_alone(
    repeated_settings: StudySettings,
) -> None:
    parts = parts_of(StudyMaker(repeated_settings).make())

    assert {part for part in parts if part.endswith("split=1")} >= {
        "evaluation/source/split=1",
        "fine_tuning/source_residual/split=1",
        "evaluation/source_residual/split=1",
    }
    assert not [part for part in parts if "source" in part and "seed" in part]
    model = parts["evaluation/source/split=1"].function_kwargs["model"]
    assert model.uuid == parts["fine_tuning/source"].uuid


def test_the_first_repeat_is_the_study_without_repeats(
    repeated_settings: StudySettings,
) -> None:
    once = repeated_settings.model_copy(update={"repeats": RepeatSettings()})
    alone = parts_of(StudyMaker(once).make())
    parts = parts_of(StudyMaker(repeated_settings).make())

    del alone["study"]
    assert {part: (job.uuid, job.name) for part, job in alone.items()} == {
        part: (parts[part].uuid, parts[part].name) for part in alone
    }
    assert not [part for part in alone if "split=" in part]


@pytest.mark.parametrize("relaxed", [False, True])
def test_repeats_are_relaxed_where_the_study_says_so(
    study_settings: StudySettings, *, relaxed: bool
) -> None:
    repeats = RepeatSettings(seeds=(0, 1), relaxation=relaxed)
    settings = study_settings.model_copy(update={"repeats": repeats})
    parts = parts_of(StudyMaker(settings).make())

    repeated = {part for part in parts if part.endswith("scratch/seed=1,split=0")}
    stages = {"relaxation", "stability", "density"} if relaxed else set()
    assert {part.partition("/")[0] for part in repeated} == {
        "fine_tuning",
        "evaluation",
        *stages,
    }


def test_jobs_of_repeats_are_routed_like_the_others(
    repeated_settings: StudySettings,
) -> None:
    parts = parts_of(StudyMaker(repeated_settings).make())
    for part, job in parts.items():
        first = parts[part.rpartition("/")[0] if "split=" in part else part]
        assert kind_of(job.name) == kind_of(first.name) is not None


def test_results_have_every_repeat_and_its_spread(repeated_store: JobStore) -> None:
    results = load_study(repeated_store).results

    trained = results.repeats["scratch"]
    assert [(r.seed, r.split) for r in trained.repeats] == [
        (0, 0),
        (4, 0),
        (0, 1),
        (4, 1),
    ]
    first = results.models["scratch"].metrics["test"]
    assert trained.repeats[0].test["energy"] == first.energy_mae
    spread = trained.spread["energy"]
    errors = [repeat.test["energy"] for repeat in trained.repeats]
    assert spread.mean == pytest.approx(sum(errors) / 4)
    assert spread.std_seeds
    assert spread.std_splits
    assert [r.seed for r in results.repeats["source"].repeats] == [None, None]


def test_errors_of_a_repeat_are_those_of_its_document(repeated_store: JobStore) -> None:
    results = load_study(repeated_store).results
    uuid = results.jobs["evaluation/scratch/seed=4,split=1"]
    output = repeated_store.get_output(uuid, load=True)
    metrics = EvaluationDoc.model_validate(output).metrics

    repeat = results.repeats["scratch"].repeats[-1]
    assert repeat.test["forces"] == metrics["test"].forces_mae
    assert repeat.val["forces"] == metrics["val"].forces_mae


def test_the_best_model_has_the_lowest_validation_error(
    repeated_store: JobStore,
) -> None:
    results = load_study(repeated_store).results
    for name, best in results.best.items():
        means = [
            sum(repeat.val[name] for repeat in model.repeats) / len(model.repeats)
            for model in results.repeats.values()
        ]
        assert best.val_error == pytest.approx(min(means))


def test_reports_have_the_errors_of_every_repeat(repeated_store: JobStore) -> None:
    """Also those of the baseline; their means are those of the documents."""
    study = load_study(repeated_store)
    evidence = read_evidence(
        load_documents(repeated_store, study),
        study.results,
        load_repeated_errors(repeated_store, study),
    )
    for model, repeated in study.results.repeats.items():
        found = evidence.test["forces"][model]
        assert list(found) == [(r.seed, r.split) for r in repeated.repeats]
        for repeat, errors in zip(repeated.repeats, found.values(), strict=True):
            assert errors.mean == pytest.approx(repeat.test["forces"])
            baseline = errors.of_baseline().mean
            assert baseline == pytest.approx(repeat.baseline["forces"])
    assert evidence.n_repeats == 4


def test_every_model_is_compared_with_baseline_source_scratch_and_best() -> None:
    rng = np.random.default_rng(0)
    names = ("source", "scratch", "frozen_atom_refs", "refitted_atom_refs")
    baselines = np.full(30, 0.1)
    models: dict[str, dict[tuple[int | None, int], Errors]] = {
        name: {
            (seed, 0): errors_of(rng.exponential(size=30), baselines=baselines)
            for seed in (0, 1)
        }
        for name in names
    }
    best = BestModel(model="refitted_atom_refs", val_error=0.1, test_error=None)

    found = list_differences("forces", models, best)

    references = {"baseline", "source", "scratch", "refitted_atom_refs"}
    pairs = {(each.model, each.reference) for each in found}
    assert pairs == {(m, r) for m in names for r in references if m != r}
    assert {(d.property, d.n_materials, d.n_repeats) for d in found} == {
        ("forces", 30, 2)
    }
    source = next(each for each in found if each.reference == "baseline")
    assert source.difference == pytest.approx(
        np.mean([errors.mean for errors in models[source.model].values()]) - 0.1
    )
    assert source.ratio_low
    assert source.low == pytest.approx((source.ratio_low - 1) * 0.1)
    assert source.significant


def test_documents_and_collections_are_of_the_first_repeat(
    repeated_store: JobStore,
) -> None:
    study = load_study(repeated_store)
    documents = load_documents(repeated_store, study)

    assert set(study.results.jobs) - set(documents) == {
        part for part in study.results.jobs if "split=" in part
    }
    build_collections(repeated_store)
    metrics = describe_collection(repeated_store, "metrics")
    metrics.connect()
    rows = {(row["model"], row["split"]): row for row in metrics.query({})}
    test = study.results.models["scratch"].metrics["test"]
    assert rows["scratch", "test"]["energy_mae"] == test.energy_mae


def test_seeds_must_begin_with_that_of_the_training(
    study_settings: StudySettings,
) -> None:
    plain = study_settings.model_dump()
    with pytest.raises(ValidationError, match=r"training.seed, 0, first, got 3"):
        StudySettings.model_validate(plain | {"repeats": {"seeds": [3, 0]}})
    with pytest.raises(ValidationError, match=r"seeds: expected each once"):
        RepeatSettings(seeds=(1, 1))


def test_a_study_without_repeats_has_one(study_settings: StudySettings) -> None:
    for model in study_settings.models:
        (only,) = list_repeats(str(model), study_settings)
        assert only.first
