"""Jobs that test a study on a sample before it is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nextrung.compute.alignment import correlate, subtract_references
from nextrung.compute.curation.outliers import find_outliers
from nextrung.compute.curation.rules import count_frames_by_label
from nextrung.compute.preflight import (
    PartialCorrelation,
    check_alignment,
    check_correlation,
    check_gradients,
    check_losses,
    check_mixtures,
    check_outliers,
    check_trial,
    choose_sample,
    correlate_structure,
    find_out_of_range_frames,
    list_transferred,
    list_unreferenced,
    reach_verdict,
)
from nextrung.makers.dataset import DatasetMaker
from nextrung.makers.fine_tuning import SourceMaker
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.jobs.task_job import (
    provenance,
    report_progress,
    task_job,
    work_folder,
)
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.labels.curation import Label
from nextrung.schemas.models import Model, NamedRecipe, Rereference
from nextrung.schemas.preflight import PreflightDoc, PreflightSettings
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from jobflow import Flow

    from nextrung.potentials.training.preflight import Sample
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.preflight import Check, OutOfRangeFrame, Trial

#: Largest number of out-of-range frames in the document.
MAX_LISTED = 100


@dataclass(kw_only=True)
class TrialMaker(StageMaker):
    """Test a study on a sample of frames and give a verdict.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : PreflightSettings
        Size of the sample, and thresholds of the checks.
    training : FineTuningSettings
        Training of the study; epochs and batch size are those of the preflight.
    """

    algorithm: ClassVar[int] = 2

    name: str = "preflight"
    settings: PreflightSettings = field(default_factory=PreflightSettings)
    training: FineTuningSettings = field(default_factory=FineTuningSettings)

    @task_job(output_schema=PreflightDoc)
    def make(self, dataset: DatasetDoc, source: FineTuningDoc) -> PreflightDoc:
        """Correlate energies, train for a few epochs, and run the checks.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames with target labels.
        source : FineTuningDoc
            The source potential.
        """
        from nextrung.potentials.training.preflight import (  # noqa: PLC0415 - loads Lightning
            predict_sample,
            try_models,
        )

        frames = open_frames(dataset)
        potential = open_potential(source)
        sample = choose_sample(frames, self.settings)
        sampled = predict_sample(potential, sample, frames)
        structure, aligned = _correlate(sampled, seed=self.settings.seed)
        models = list_transferred(self.settings.models)
        trials = try_models(
            potential,
            sampled,
            self._short_training,
            models=[Model.SCRATCH, *models],
            workdir=work_folder(),
            on_trial=report_progress,
        )
        elements, n_unreferenced = list_unreferenced(frames, potential.elements)
        out_of_range = find_out_of_range_frames(
            sampled.frames, sampled.residuals, self.settings
        )
        losses = check_losses(
            "elements without reference",
            (n_unreferenced, len(frames)),
            why=f"they hold {', '.join(elements)}",
            settings=self.settings,
        )
        checks = [
            check_correlation(structure, self.settings),
            losses,
            self._check_range(sample, sampled, out_of_range),
            *self._check_labels(dataset, sampled),
            *self._check_models(models, aligned, trials),
        ]
        verdict, reason, verdicts = reach_verdict(checks, [*map(str, models)])
        splits = sampled.frames.splits
        return PreflightDoc(
            settings=self.settings,
            labels=dataset.labels,
            source=source.source,
            verdict=verdict,
            verdicts=verdicts,
            reason=reason,
            checks=checks,
            n_train_frames=int(np.sum(splits == "train")),
            n_val_frames=int(np.sum(splits == "val")),
            correlation=_correlate_totals(sampled),
            correlation_beyond_composition=structure.correlation,
            null_correlation=structure.null_quantile,
            p_value=structure.p_value,
            correlations_referenced=aligned,
            trials=trials,
            elements_without_reference=elements,
            n_out_of_range_frames=len(out_of_range),
            out_of_range_frames=out_of_range[:MAX_LISTED],
            training_times=self._extrapolate(trials, dataset),
            provenance=provenance(),
        )

    @property
    def _short_training(self) -> FineTuningSettings:
        """Training of the study, with the epochs and batch size of the preflight."""
        changes = {
            "epochs": self.settings.epochs,
            "batch_size": self.settings.batch_size,
            "n_train_frames": None,
        }
        return self.training.model_copy(update=changes)

    def _check_labels(self, dataset: DatasetDoc, sampled: Sample) -> list[Check]:
        """Check whether labels are of one kind and on one scale."""
        outliers, n_runs = find_outliers(sampled.frames, sampled.predicted)
        labels = count_frames_by_label(sampled.frames)
        return [
            check_mixtures(dataset.identity.mixtures),
            check_outliers(
                outliers,
                n_runs,
                self.settings,
                has_forces=labels[Label.FORCES] + labels[Label.STRESS] > 0,
            ),
        ]

    def _check_models(
        self,
        models: list[Model | NamedRecipe],
        aligned: dict[Rereference, float | None],
        trials: list[Trial],
    ) -> list[Check]:
        """Check references, gradients and errors of every transferred model."""
        names = [str(model) for model in models]
        return [
            *(check_alignment(model, aligned, self.settings) for model in models),
            *(check_gradients(name, trials, self.settings) for name in names),
            *(check_trial(name, trials) for name in names),
        ]

    def _check_range(
        self, sample: Frames, sampled: Sample, out_of_range: list[OutOfRangeFrame]
    ) -> Check:
        """Check how many frames have no valid graph or are out of range."""
        reasons = [
            *sampled.unusable.values(),
            *(frame.reason for frame in out_of_range),
        ]
        return check_losses(
            "frames out of range",
            (len(reasons), len(sample)),
            why=f"the first: {reasons[0]}" if reasons else "",
            settings=self.settings,
        )

    def _extrapolate(
        self, trials: list[Trial], dataset: DatasetDoc
    ) -> dict[str, float]:
        """Estimate the times of the trainings of the study in s."""
        n_train = dataset.n_frames_by_split.get("train", 0)
        n_frames = min(self.training.n_train_frames or n_train, n_train)
        n_frames += dataset.n_frames_by_split.get("val", 0)
        return {
            trial.model: trial.seconds_per_frame * n_frames * self.training.epochs
            for trial in trials
        }


@dataclass
class PreflightMaker(RecordMaker):
    """Make the flow of a preflight; the study reuses its first two jobs.

    Parameters
    ----------
    settings : StudySettings
        Settings of the study.
    name : str
        Name of the flow; that of the study by default.
    """

    settings: StudySettings
    name: str = field(default="", kw_only=True)

    def make(self) -> Flow:
        """Build the flow.

        Returns
        -------
        Flow
            Its output is the :class:`.PreflightDoc`; the metadata of every job name
            the study.
        """
        settings = self.settings
        dataset = DatasetMaker(settings=settings.dataset).make()
        source = SourceMaker(potential=settings.source).make()
        source.append_name(" source")
        models = settings.preflight.models or settings.models
        chosen = settings.preflight.model_copy(update={"models": models})
        maker = TrialMaker(settings=chosen, training=settings.training)
        trial = maker.make(dataset.output, source.output)
        name = self.name or f"{settings.name} preflight"
        flow = make_flow([dataset, source, trial], trial.output, name)
        flow.update_metadata({"study": settings.name}, dynamic=True)
        return flow


def _correlate(
    sampled: Sample, *, seed: int
) -> tuple[PartialCorrelation, dict[Rereference, float | None]]:
    """Correlate labels and predictions beyond composition, and above references.

    The latter over validation frames, to which no reference was fitted.
    """
    target, source = _select_known(sampled)
    is_val = target.splits == "val"
    left = subtract_references(source, sampled.atom_refs[Rereference.NONE])[is_val]
    aligned = {
        kind: correlate(left, subtract_references(target, references)[is_val])
        for kind, references in sampled.atom_refs.items()
    }
    return correlate_structure(source, target, seed=seed), aligned


def _correlate_totals(sampled: Sample) -> float | None:
    """Correlate labels and predictions in eV/atom."""
    return correlate(*(part.energies / part.n_atoms for part in _select_known(sampled)))


def _select_known(sampled: Sample) -> tuple[Frames, Frames]:
    """Select the frames with a label and a prediction, as labels and predictions."""
    known = np.isfinite(sampled.frames.energies + sampled.predicted.energies)
    return sampled.frames[known], sampled.predicted[known]
