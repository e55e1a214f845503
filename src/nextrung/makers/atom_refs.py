"""The job that moves atomic reference energies to the functional of the labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jobflow import Maker

from nextrung.compute.atom_refs import fit_atom_refs, fit_shift, rereference
from nextrung.makers.base import provenance, task_job
from nextrung.makers.models import open_frames, open_potential
from nextrung.schemas.atom_refs import AtomRefDoc, AtomRefSettings
from nextrung.schemas.models import Rereference

if TYPE_CHECKING:
    from nextrung.potentials.potential import Potential
    from nextrung.schemas.atom_refs import AtomRefFit
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.frames import Frames


@dataclass(kw_only=True)
class AtomRefMaker(Maker):
    """Fit the atomic reference energies of the target functional.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : AtomRefSettings
        How the references are moved.
    """

    name: str = "fit atom refs"
    settings: AtomRefSettings = field(default_factory=AtomRefSettings)

    @task_job(AtomRefDoc)
    def make(self, dataset: DatasetDoc, source: FineTuningDoc) -> AtomRefDoc:
        """Fit the training frames of a data set.

        Parameters
        ----------
        dataset : DatasetDoc
            Frames with target labels.
        source : FineTuningDoc
            The source potential.
        """
        potential = open_potential(source)
        previous = potential.atom_refs
        frames = open_frames(dataset).split("train")
        fit = _fit(self.settings.kind, frames, potential)
        atom_refs = rereference(self.settings.kind, previous, fit)
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


def _fit(kind: Rereference, frames: Frames, potential: Potential) -> AtomRefFit | None:
    """Fit what the kind of re-referencing needs; frames without graph are left out."""
    if kind is Rereference.NONE:
        return None
    if kind is Rereference.REFIT:
        return fit_atom_refs(frames)
    predicted, _ = potential.label(frames, "e")
    usable = np.isfinite(predicted.energies)
    return fit_shift(frames[usable], predicted.energies[usable])
