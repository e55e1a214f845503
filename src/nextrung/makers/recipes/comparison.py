"""Flow that compares the recipes of a study by nested cross-validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobflow import Job

from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker
from nextrung.makers.recipes.summary import RecipeSummaryMaker
from nextrung.makers.study import StudyMaker
from nextrung.schemas.base import InputError
from nextrung.schemas.evaluation import EvaluationSettings
from nextrung.schemas.models import Model
from nextrung.schemas.recipe_comparison import RecipeComparisonSettings
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from jobflow import Flow

#: Stages of a study that a comparison of recipes leaves out.
_LEFT_OUT = (
    "alignment",
    "relaxation",
    "stability",
    "density",
    "physics",
    "scaling_law",
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
