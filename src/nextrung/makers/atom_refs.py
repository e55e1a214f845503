"""Job that fits atomic reference energies to the labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from nextrung.compute.fine_tuning import select_train_frames
from nextrung.makers.jobs.models import open_frames, open_potential
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.potentials.atom_refs import move_atom_refs
from nextrung.schemas.atom_refs import AtomRefDoc, AtomRefSettings
from nextrung.schemas.models import Rereference

if TYPE_CHECKING:
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc


@dataclass(kw_only=True)
class AtomRefMaker(StageMaker):
    """Fit the atomic reference energies of the target functional.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : AtomRefSettings
        Kind of fit.
    """

    algorithm: ClassVar[int] = 2

    name: str = "fit atom refs"
    settings: AtomRefSettings = field(default_factory=AtomRefSettings)

    @task_job(output_schema=AtomRefDoc)
    def make(self, dataset: DatasetDoc, source: FineTuningDoc) -> AtomRefDoc:
        """Fit the references to the training frames of a data set.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames with target labels.
        source : FineTuningDoc
            The source potential.
        """
        potential = open_potential(source)
        previous = potential.atom_refs
        refits = self.settings.kind is Rereference.REFIT
        if refits and potential.backend.atom_refs is None:
            previous = {}  # not known: a refit is no shift of them
        frames = select_train_frames(
            open_frames(dataset), self.settings.n_train_frames, seed=self.settings.seed
        )
        fit, atom_refs = move_atom_refs(
            potential,
            frames,
            self.settings.kind,
            unseen_elements=self.settings.unseen_elements,
        )
        return AtomRefDoc(
            settings=self.settings,
            functional=dataset.functional,
            fit=fit,
            previous=previous,
            atom_refs=atom_refs,
            shift={
                symbol: energy - previous[symbol]
                for symbol, energy in atom_refs.items()
                if symbol in previous
            },
            provenance=provenance(),
        )
