"""Flow that compares the recipes of a study by nested cross-validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jobflow import Job

from nextrung.compute.recipe_comparison import (
    choose_by_fold,
    recommend,
    score_validation,
)
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.makers.study import StudyMaker
from nextrung.schemas.base import InputError
from nextrung.schemas.evaluation import EvaluationSettings
from nextrung.schemas.models import Model
from nextrung.schemas.recipe_comparison import (
    RecipeComparisonDoc,
    RecipeComparisonSettings,
    RecipeSummary,
)
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jobflow import Flow

    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.models import Recipe
    from nextrung.schemas.repeats import RepeatErrors
    from nextrung.schemas.study import StudyDoc

#: Stages of a study that a comparison of recipes leaves out.
_LEFT_OUT = (
    "alignment",
    "relaxation",
    "stability",
    "density",
    "physics",
    "scaling_law",
)


@dataclass(kw_only=True)
class RecipeSummaryMaker(StageMaker):
    """Summarise the errors and costs of recipes, and recommend one.

    Parameters
    ----------
    name : str
        Name of the job, by which it is routed as the results of a study are.
    settings : RecipeComparisonSettings
        Folds of the comparison.
    """

    algorithm: ClassVar[int] = 1

    name: str = "gather results of recipes"
    settings: RecipeComparisonSettings = field(default_factory=RecipeComparisonSettings)

    @task_job(output_schema=RecipeComparisonDoc, load=False)
    def make(
        self, study: StudyDoc, models: dict[str, FineTuningDoc]
    ) -> RecipeComparisonDoc:
        """Choose a recipe by validation errors, and confirm it by test errors.

        Parameters
        ----------
        study : StudyDoc
            Study with one split per fold.
        models : dict of str to FineTuningDoc
            Every model of every fold, by the name of its part.
        """
        results, recipes = study.results, study.settings.recipes
        scores = score_validation(results.repeats)
        means = {
            model: float(np.exp(np.mean(np.log(list(of_folds.values())))))
            for model, of_folds in scores.items()
        }
        differences = [
            each for each in results.differences if each.reference == Model.SOURCE
        ]
        choices = choose_by_fold(results.repeats, scores)
        return RecipeComparisonDoc(
            study=results.study,
            labels=results.labels,
            source=results.source,
            settings=self.settings,
            n_materials=results.dataset.n_materials,
            n_frames=results.dataset.n_frames,
            epochs=study.settings.training.epochs,
            recipes={
                name: _summarise(
                    recipe,
                    results.repeats[name].repeats,
                    score=means[name],
                    made=_select(models, name),
                )
                for name, recipe in recipes.items()
            },
            differences=differences,
            choices=choices,
            choice_errors=_average([choice.test for choice in choices]),
            choice=recommend(means, differences),
            provenance=provenance(),
        )


@dataclass
class RecipeComparisonMaker(RecordMaker):
    """Make the flow that trains every recipe of a study on every fold.

    Parameters
    ----------
    study : StudySettings
        The study: data set, source, recipes and the training that they share.
    settings : RecipeComparisonSettings
        Folds of the comparison.
    name : str
        Name of the flow; that of the study with folds by default.
    """

    study: StudySettings
    settings: RecipeComparisonSettings = field(
        default_factory=RecipeComparisonSettings, kw_only=True
    )
    name: str = field(default="", kw_only=True)

    def make(self) -> Flow:
        """Build the flow.

        Returns
        -------
        Flow
            Its output is the :class:`.RecipeComparisonDoc`; its jobs belong to the
            study of :func:`cross_validate`.
        """
        settings = cross_validate(self.study, self.settings)
        study = StudyMaker(settings).make()
        models = {
            job.metadata["part"]: job.output
            for job in study.jobs
            if isinstance(job, Job) and job.metadata["part"].startswith("fine_tuning/")
        }
        summary = RecipeSummaryMaker(settings=self.settings).make(study.output, models)
        summary.update_metadata({"part": "recipe_comparison", "study": settings.name})
        return make_flow([study, summary], summary.output, self.name or settings.name)


def cross_validate(
    study: StudySettings, settings: RecipeComparisonSettings
) -> StudySettings:
    """Return the settings of the study whose splits are the folds of a comparison.

    Parameters
    ----------
    study : StudySettings
        The study.
    settings : RecipeComparisonSettings
        Folds of the comparison.

    Returns
    -------
    StudySettings
        The recipes of the study and the source, trained alike on every fold and scored
        on validation and test frames; the other stages are left out.

    Raises
    ------
    InputError
        If there is no recipe but the source.
    """
    models = study.models
    if Model.SOURCE not in models:
        models = (Model.SOURCE, *models)
    if len(models) == 1:
        raise InputError(
            "models: expected recipes to compare with the source, got the source alone"
        )
    split = study.dataset.split
    folds = {"folds": settings.folds, "seed": settings.folds * split.seed}
    dataset = {"split": split.model_copy(update=folds)}
    repeats = {"splits": settings.folds, "relaxation": False}
    return study.model_copy(
        update={
            "name": f"{study.name}_recipes",
            "models": models,
            "finished": (),
            "dataset": study.dataset.model_copy(update=dataset),
            "repeats": study.repeats.model_copy(update=repeats),
            "evaluation": EvaluationSettings(splits=("val", "test")),
            **dict.fromkeys(_LEFT_OUT),
        }
    )


def _select(models: Mapping[str, FineTuningDoc], name: str) -> list[FineTuningDoc]:
    """Select the models of a recipe, of all folds and seeds."""
    return [made for part, made in models.items() if part.split("/")[1] == name]


def _summarise(
    recipe: Recipe,
    repeats: Sequence[RepeatErrors],
    *,
    score: float,
    made: Sequence[FineTuningDoc],
) -> RecipeSummary:
    """Summarise the errors and the cost of a recipe."""
    times = [each.provenance.processor_time for each in made]
    known = [time for time in times if time is not None]
    return RecipeSummary(
        recipe=recipe,
        val=_average([repeat.val for repeat in repeats]),
        test=_average([repeat.test for repeat in repeats]),
        val_score=score,
        processor_time=float(np.mean(known)) if known else None,
        wall_time=float(np.mean([each.provenance.wall_time for each in made])),
    )


def _average(errors: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Average errors over repeats, property by property."""
    found: dict[str, list[float]] = {}
    for repeat in errors:
        for name, error in repeat.items():
            found.setdefault(name, []).append(error)
    return {name: float(np.mean(values)) for name, values in found.items()}
