"""Job that summarises recipes and recommends one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nextrung.compute.recipe_comparison import (
    choose_by_fold,
    recommend,
    score_validation,
)
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.models import Model
from nextrung.schemas.recipe_comparison import (
    RecipeComparisonDoc,
    RecipeComparisonSettings,
    RecipeSummary,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.models import Recipe
    from nextrung.schemas.repeats import RepeatErrors
    from nextrung.schemas.study import StudyDoc


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
