"""Job that compares predicted densities with experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from nextrung.adapters.files.crystals.experimental_crystals import (
    digest_crystals,
    read_crystals,
)
from nextrung.compute.density import score_densities, strain_lattice
from nextrung.makers.jobs.models import relax_with
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import (
    provenance,
    report_progress,
    task_job,
)
from nextrung.schemas.density import DensityDoc, DensitySettings, ExperimentalCrystal

if TYPE_CHECKING:
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.relaxation import RelaxationRecord


@dataclass(kw_only=True)
class DensityMaker(StageMaker):
    """Compress experimental crystals, relax them, and compare their densities.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : DensitySettings
        Crystals, and settings of their relaxation.
    """

    algorithm: ClassVar[int] = 1

    name: str = "score densities"
    settings: DensitySettings = field(default_factory=DensitySettings)

    def digest_files(self) -> str:
        """Hash the experimental crystals."""
        return digest_crystals(self.settings)

    @task_job(output_schema=DensityDoc, data="rows")
    def make(self, model: FineTuningDoc) -> DensityDoc:
        """Relax the crystals with a model.

        Parameters
        ----------
        model : FineTuningDoc
            The model to score.
        """
        crystals = read_crystals(self.settings)
        strain = self.settings.linear_strain
        strained = [
            strain_lattice(crystal.structure, strain)
            for crystal in crystals
            if isinstance(crystal, ExperimentalCrystal)
        ]
        done = 0

        def count(_index: int, _record: RelaxationRecord) -> None:
            nonlocal done
            done += 1
            report_progress(done, len(strained))

        relaxed = relax_with(
            model.checkpoint, strained, self.settings.relaxation, on_record=count
        )
        score = score_densities(crystals, relaxed)
        return DensityDoc(
            model=model.model,
            labels=model.functional,
            settings=self.settings,
            **{name: getattr(score, name) for name in type(score).model_fields},
            provenance=provenance(),
        )
