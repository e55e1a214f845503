"""Job that scores the predictions of a model against the labels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nextrung.compute.atom_refs import UndeterminedReferencesWarning, fit_atom_refs
from nextrung.compute.evaluation import find_new_formulas, score_predictions
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.evaluation import NEW_FORMULAS, EvaluationDoc, EvaluationSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.evaluation import EvaluationScore
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.frames import Frames


@dataclass(kw_only=True)
class EvaluationMaker(StageMaker):
    """Score a model on the splits of a data set.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : EvaluationSettings
        Splits to score.
    """

    algorithm: ClassVar[int] = 1

    name: str = "evaluate"
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)

    @task_job(output_schema=EvaluationDoc, data="rows")
    def make(self, dataset: DatasetDoc, model: FineTuningDoc) -> EvaluationDoc:
        """Predict the frames of a data set and compute the errors.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames with target labels.
        model : FineTuningDoc
            The model to score.
        """
        score, _, _ = score_frames(
            open_frames(dataset), open_potential(model), self.settings
        )
        return EvaluationDoc(
            model=model.model,
            labels=dataset.labels,
            settings=self.settings,
            metrics=score.metrics,
            failures=score.failures,
            rows=score.rows,
            provenance=provenance(),
        )


def score_frames(
    frames: Frames, potential: Potential, settings: EvaluationSettings
) -> tuple[EvaluationScore, Frames, Mapping[int, str]]:
    """Predict frames and compute the errors.

    Parameters
    ----------
    frames : Frames
        Labelled frames; atomic references, the baseline of energies, are fitted to
        those in training.
    potential : Potential
        The potential to score.
    settings : EvaluationSettings
        Splits to score.

    Returns
    -------
    score : EvaluationScore
        Errors by split.
    predicted : Frames
        The frames of these splits with predictions in place of labels.
    errors : mapping of int to str
        Why a frame has no prediction, by index.
    """
    new_formulas = find_new_formulas(frames)
    references = _fit_references(frames)
    if "all" not in settings.splits:
        chosen = np.isin(frames.splits, settings.splits)
        frames, new_formulas = frames[chosen], new_formulas[chosen]
    predicted, errors = potential.predict_frames(frames)
    score = score_predictions(
        frames,
        predicted,
        errors,
        splits=settings.splits,
        subsets={NEW_FORMULAS: new_formulas},
        references=references,
    )
    return score, predicted, errors


def _fit_references(frames: Frames) -> dict[str, float]:
    """Fit atomic references to the labelled training frames; empty without such."""
    train = frames.split("train")
    train = train[np.isfinite(train.energies)]
    if not len(train):
        return {}
    with warnings.catch_warnings():
        # The baseline needs sums over atoms only, which the fit determines anyway.
        warnings.simplefilter("ignore", UndeterminedReferencesWarning)
        return dict(fit_atom_refs(train).energies)
