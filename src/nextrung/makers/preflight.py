"""The jobs that try a study out before it is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.alignment import correlate, subtract_references
from nextrung.compute.preflight import (
    check_correlation,
    check_gradients,
    check_losses,
    check_trials,
    choose_sample,
    find_out_of_range_frames,
    list_unreferenced,
    reach_verdict,
)
from nextrung.makers.dataset import DatasetMaker
from nextrung.makers.fine_tuning import SourceMaker
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import (
    provenance,
    report_progress,
    task_job,
    work_folder,
)
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.models import Rereference
from nextrung.schemas.preflight import PreflightDoc, PreflightSettings
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from jobflow import Flow

    from nextrung.potentials.training.preflight import Sample
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.models import Model
    from nextrung.schemas.preflight import Check, OutOfRangeFrame, Trial

#: Frames out of range that the document lists.
MAX_LISTED = 100


@dataclass(kw_only=True)
class TrialMaker(StageMaker):
    """Try a study out on few frames, and say whether it is worth its time.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : PreflightSettings
        How many frames, and what is too much.
    training : FineTuningSettings
        How the study would train; the preflight has its own epochs and batches.
    """

    name: str = "preflight"
    settings: PreflightSettings = field(default_factory=PreflightSettings)
    training: FineTuningSettings = field(default_factory=FineTuningSettings)

    @task_job(output_schema=PreflightDoc)
    def make(self, dataset: DatasetDoc, source: FineTuningDoc) -> PreflightDoc:
        """Correlate, train for a short while, and check.

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
        probed = predict_sample(potential, sample, frames)
        correlations = _correlate(probed)
        trials = try_models(
            potential,
            probed,
            self._brief,
            workdir=work_folder(),
            on_trial=report_progress,
        )
        elements, n_unreferenced = list_unreferenced(frames, potential.elements)
        odd = find_out_of_range_frames(probed.frames, probed.residuals, self.settings)
        checks = [
            check_correlation(*correlations, self.settings),
            check_gradients(trials, self.settings),
            check_trials(trials),
            check_losses(
                "elements without reference",
                (n_unreferenced, len(frames)),
                why=f"they hold {', '.join(elements)}",
                settings=self.settings,
            ),
            self._check_range(sample, probed, odd),
        ]
        verdict, reason = reach_verdict(checks)
        splits = probed.frames.splits
        return PreflightDoc(
            settings=self.settings,
            labels=dataset.labels,
            source=source.source,
            verdict=verdict,
            reason=reason,
            checks=checks,
            n_train_frames=int(np.sum(splits == "train")),
            n_val_frames=int(np.sum(splits == "val")),
            correlation=correlations[0],
            correlations_referenced=correlations[1],
            trials=trials,
            elements_without_reference=elements,
            n_out_of_range_frames=len(odd),
            out_of_range_frames=odd[:MAX_LISTED],
            training_times=self._extrapolate(trials, dataset),
            provenance=provenance(),
        )

    @property
    def _brief(self) -> FineTuningSettings:
        """The training of the study, cut short."""
        cut = {
            "epochs": self.settings.epochs,
            "batch_size": self.settings.batch_size,
            "n_train_frames": None,
        }
        return self.training.model_copy(update=cut)

    def _check_range(
        self, sample: Frames, probed: Sample, odd: list[OutOfRangeFrame]
    ) -> Check:
        """Check the frames that no graph can be made of, or that are far off."""
        reasons = [*probed.unusable.values(), *(frame.reason for frame in odd)]
        return check_losses(
            "frames out of range",
            (len(reasons), len(sample)),
            why=f"the first: {reasons[0]}" if reasons else "",
            settings=self.settings,
        )

    def _extrapolate(
        self, trials: list[Trial], dataset: DatasetDoc
    ) -> dict[Model, float]:
        """Estimate what the trainings of the study would take."""
        n_train = dataset.n_frames_by_split.get("train", 0)
        n_frames = min(self.training.n_train_frames or n_train, n_train)
        n_frames += dataset.n_frames_by_split.get("val", 0)
        return {
            trial.model: trial.seconds_per_frame * n_frames * self.training.epochs
            for trial in trials
        }


@dataclass
class PreflightMaker(StageMaker):
    """Wire the jobs that try a study out; the study itself uses the first two again.

    Parameters
    ----------
    settings : StudySettings
        What the study asks.
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
        maker = TrialMaker(settings=settings.preflight, training=settings.training)
        trial = maker.make(dataset.output, source.output)
        name = self.name or f"{settings.name} preflight"
        flow = make_flow([dataset, source, trial], trial.output, name)
        flow.update_metadata({"study": settings.name}, dynamic=True)
        return flow


def _correlate(
    probed: Sample,
) -> tuple[float | None, dict[Rereference, float | None]]:
    """Correlate labels and predictions before and after re-referencing."""
    known = np.isfinite(probed.frames.energies + probed.predicted.energies)
    target, source = probed.frames[known], probed.predicted[known]
    refs = probed.atom_refs
    before = correlate(
        source.energies / source.n_atoms, target.energies / target.n_atoms
    )
    left = subtract_references(source, refs[Rereference.NONE])
    after = {
        kind: correlate(left, subtract_references(target, refs[kind]))
        for kind in (Rereference.REFIT, Rereference.RESIDUAL)
    }
    return before, after
