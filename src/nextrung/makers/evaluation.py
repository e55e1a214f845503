"""Job that scores the predictions of a model against the labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.evaluation import find_new_formulas, score_predictions
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.evaluation import NEW_FORMULAS, EvaluationDoc, EvaluationSettings

if TYPE_CHECKING:
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc


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
        frames = open_frames(dataset)
        new = find_new_formulas(frames)
        if "all" not in self.settings.splits:
            chosen = np.isin(frames.splits, self.settings.splits)
            frames, new = frames[chosen], new[chosen]
        predicted, errors = open_potential(model).predict_frames(frames)
        score = score_predictions(
            frames,
            predicted,
            errors,
            splits=self.settings.splits,
            subsets={NEW_FORMULAS: new},
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
