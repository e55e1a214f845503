"""The job that compares the energies of source and target functional."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nextrung.compute.alignment import score_alignment
from nextrung.makers.base import StageMaker, provenance, task_job
from nextrung.makers.models import open_frames, open_potential
from nextrung.schemas.alignment import (
    AlignmentDoc,
    AlignmentSettings,
    SourceEnergies,
)

if TYPE_CHECKING:
    from nextrung.schemas.atom_refs import AtomRefDoc
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc


@dataclass(kw_only=True)
class AlignmentMaker(StageMaker):
    """Correlate source and target energies before and after re-referencing.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : AlignmentSettings
        How differences are explained by elements.
    """

    name: str = "align functionals"
    settings: AlignmentSettings = field(default_factory=AlignmentSettings)

    @task_job(AlignmentDoc, rows=["rows"])
    def make(
        self, dataset: DatasetDoc, source: FineTuningDoc, atom_refs: AtomRefDoc
    ) -> AlignmentDoc:
        """Compare the labels with the source potential's predictions.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames with target labels.
        source : FineTuningDoc
            The source potential; its predictions stand in for the source functional.
        atom_refs : AtomRefDoc
            References refitted to the target labels.
        """
        frames = open_frames(dataset)
        potential = open_potential(source)
        predicted, _ = potential.label(frames, "e")
        score = score_alignment(
            frames,
            predicted,
            source_refs=potential.atom_refs,
            target_refs=atom_refs.atom_refs,
            settings=self.settings,
        )
        return AlignmentDoc(
            labels=dataset.labels,
            source=source.source,
            source_energies=SourceEnergies.PREDICTED,
            settings=self.settings,
            **{name: getattr(score, name) for name in type(score).model_fields},
            provenance=provenance(),
        )
