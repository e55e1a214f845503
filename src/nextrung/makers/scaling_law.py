"""Jobs that measure test errors against the number of training frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from nextrung.compute.fine_tuning import is_undertrained
from nextrung.compute.scaling_law import score_scaling_law
from nextrung.makers.atom_refs import AtomRefMaker
from nextrung.makers.evaluation import EvaluationMaker
from nextrung.makers.fine_tuning import FineTuningMaker
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.atom_refs import AtomRefSettings
from nextrung.schemas.evaluation import EvaluationDoc, EvaluationSettings
from nextrung.schemas.fine_tuning import FineTuningDoc, FineTuningSettings
from nextrung.schemas.models import RECIPES, Rereference
from nextrung.schemas.scaling_law import (
    FittedReferences,
    ScalingLawDoc,
    ScalingLawSettings,
    ScalingPoint,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Flow, Job

    from nextrung.schemas.atom_refs import AtomRefDoc
    from nextrung.schemas.dataset import DatasetDoc


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
            Reference energies, by the kind of fit; those that are fitted to the whole
            training split are not used where the settings fit them to each subset.
        untrained : FineTuningDoc
            The re-referenced source: the point at zero training frames.

        Returns
        -------
        Flow
            Its output is the :class:`.ScalingLawDoc`.
        """
        subsets = self._list_subsets()
        references: list[Job] = []
        fitted = [dict(atom_refs) for _ in subsets]
        if self.settings.fitted_references is FittedReferences.SUBSET:
            for subset, of_subset in zip(subsets, fitted, strict=True):
                for kind in self._list_fitted_kinds():
                    job = self._fit(kind, subset, dataset=dataset, source=source)
                    references.append(job)
                    of_subset[kind] = job.output
        trainings: list[Job] = []
        for model in self.settings.models:
            for subset, of_subset in zip(subsets, fitted, strict=True):
                settings = self.training.model_copy(update=subset)
                job = FineTuningMaker(model=model, settings=settings).make(
                    dataset, source, of_subset[RECIPES[model].rereference]
                )
                job.append_name(f" {model} on {_name_subset(subset)}")
                trainings.append(job)
        models = [untrained, *(job.output for job in trainings)]
        scored = EvaluationSettings(splits=(self.settings.split,))
        evaluations = [
            EvaluationMaker(settings=scored).make(dataset, model) for model in models
        ]
        fit = ScalingLawFitMaker(settings=self.settings).make(
            models, [job.output for job in evaluations]
        )
        jobs_in_order = [*references, *trainings, *evaluations, fit]
        return make_flow(jobs_in_order, fit.output, self.name)

    def _list_subsets(self) -> list[dict[str, int]]:
        """List the frames and seeds of the trainings of each model."""
        first = self.settings.seed
        return [
            {"n_train_frames": size, "seed": seed}
            for seed in range(first, first + self.settings.n_repeats)
            for size in self.settings.sizes
        ]

    def _list_fitted_kinds(self) -> list[Rereference]:
        """List the kinds of references that the models need."""
        kinds = (RECIPES[model].rereference for model in self.settings.models)
        return [kind for kind in dict.fromkeys(kinds) if kind is not Rereference.NONE]

    def _fit(
        self,
        kind: Rereference,
        subset: dict[str, int],
        *,
        dataset: DatasetDoc,
        source: FineTuningDoc,
    ) -> Job:
        """Make the job that fits references to a subset."""
        settings = AtomRefSettings.model_validate({"kind": kind, **subset})
        job: Job = AtomRefMaker(settings=settings).make(dataset, source)
        job.append_name(f" {kind} on {_name_subset(subset)}")
        return job


def _name_subset(subset: dict[str, int]) -> str:
    """Name a subset by its size, and by its seed if that is not 0."""
    seed = subset["seed"]
    return f"{subset['n_train_frames']}" + (f" seed {seed}" if seed else "")


def _point(
    model: FineTuningDoc, evaluation: EvaluationDoc, settings: ScalingLawSettings
) -> ScalingPoint:
    """Build one point of the scaling law from its documents."""
    errors = evaluation.metrics.get(settings.split)
    history = [epoch.val.energy_mae for epoch in model.history]
    known = [error for error in history if error is not None]
    missing = None if errors else f"no frame in the {settings.split} split"
    if errors and not errors.n_frames:
        missing = f"none of the {errors.n_failed} frames could be predicted"
    return ScalingPoint(
        model=model.model,
        n_frames=model.n_train_frames,
        n_materials=model.n_train_materials,
        energy_mae=errors and errors.energy_mae,
        forces_mae=errors and errors.forces_mae,
        seed=model.settings.seed if model.settings else settings.seed,
        n_scored=errors.n_frames if errors else 0,
        n_unscored=errors.n_failed if errors else 0,
        undertrained=is_undertrained(known),
        error=missing,
    )
