"""Jobs that measure test errors against the number of training frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from nextrung.compute.scaling_law import score_scaling_law
from nextrung.makers.evaluation import EvaluationMaker
from nextrung.makers.fine_tuning import FineTuningMaker
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.evaluation import EvaluationDoc, EvaluationSettings
from nextrung.schemas.fine_tuning import FineTuningDoc, FineTuningSettings
from nextrung.schemas.models import RECIPES
from nextrung.schemas.scaling_law import (
    ScalingLawDoc,
    ScalingLawSettings,
    ScalingPoint,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Flow, Job

    from nextrung.schemas.atom_refs import AtomRefDoc
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.models import Rereference


@dataclass(kw_only=True)
class ScalingLawFitMaker(StageMaker):
    """Fit power laws to the errors of models trained on subsets.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : ScalingLawSettings
        Errors to fit, and settings of the fit.
    """

    algorithm: ClassVar[int] = 1

    name: str = "fit scaling law"
    settings: ScalingLawSettings = field(default_factory=ScalingLawSettings)

    @task_job(output_schema=ScalingLawDoc, load=False)
    def make(
        self, models: list[FineTuningDoc], evaluations: list[EvaluationDoc]
    ) -> ScalingLawDoc:
        """Fit the errors of models that were trained on nested subsets.

        Parameters
        ----------
        models : list of FineTuningDoc
            The models.
        evaluations : list of EvaluationDoc
            The evaluation of each model.
        """
        points = [
            _point(model, evaluation, self.settings)
            for model, evaluation in zip(models, evaluations, strict=True)
        ]
        score = score_scaling_law(points, self.settings)
        return ScalingLawDoc(
            labels=evaluations[0].labels,
            settings=self.settings,
            points=score.points,
            laws=score.laws,
            provenance=provenance(),
        )


@dataclass(kw_only=True)
class ScalingLawMaker(RecordMaker):
    """Train models on nested subsets and fit power laws to their errors.

    Parameters
    ----------
    name : str
        Name of the flow.
    settings : ScalingLawSettings
        Sizes of the subsets, and models.
    training : FineTuningSettings
        Settings of the trainings.
    """

    name: str = "scaling law"
    settings: ScalingLawSettings = field(default_factory=ScalingLawSettings)
    training: FineTuningSettings = field(default_factory=FineTuningSettings)

    def make(
        self,
        dataset: DatasetDoc,
        source: FineTuningDoc,
        atom_refs: Mapping[Rereference, AtomRefDoc | None],
        *,
        untrained: FineTuningDoc,
    ) -> Flow:
        """Make one training and one evaluation per model and size.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames with target labels.
        source : FineTuningDoc
            The source potential.
        atom_refs : mapping of Rereference to AtomRefDoc or None
            Reference energies, by the kind of fit.
        untrained : FineTuningDoc
            The re-referenced source: the point at zero training frames.

        Returns
        -------
        Flow
            Its output is the :class:`.ScalingLawDoc`.
        """
        trainings: list[Job] = []
        for model in self.settings.models:
            for size in self.settings.sizes:
                settings = self.training.model_copy(
                    update={"n_train_frames": size, "seed": self.settings.seed}
                )
                job = FineTuningMaker(model=model, settings=settings).make(
                    dataset, source, atom_refs[RECIPES[model].rereference]
                )
                job.append_name(f" {model} on {size}")
                trainings.append(job)
        models = [untrained, *(job.output for job in trainings)]
        scored = EvaluationSettings(splits=(self.settings.split,))
        evaluations = [
            EvaluationMaker(settings=scored).make(dataset, model) for model in models
        ]
        fit = ScalingLawFitMaker(settings=self.settings).make(
            models, [job.output for job in evaluations]
        )
        return make_flow([*trainings, *evaluations, fit], fit.output, self.name)


def _point(
    model: FineTuningDoc, evaluation: EvaluationDoc, settings: ScalingLawSettings
) -> ScalingPoint:
    """Build one point of the scaling law from its documents."""
    errors = evaluation.metrics.get(settings.split)
    return ScalingPoint(
        model=model.model,
        n_frames=model.n_train_frames,
        n_materials=model.n_train_materials,
        energy_mae=errors and errors.energy_mae,
        forces_mae=errors and errors.forces_mae,
        error=None if errors else f"no frame in the {settings.split} split",
    )
