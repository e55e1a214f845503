"""Job that compares the convex hulls of a model and of the labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_materials
from nextrung.adapters.files.relaxation_table import read_outcomes
from nextrung.compute.stability import score_stability
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.stability import (
    MaterialEnergies,
    StabilityDoc,
    StabilitySettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.labels.materials import Materials
    from nextrung.schemas.relaxation import RelaxationDoc, RelaxationRecord


@dataclass(kw_only=True)
class StabilityMaker(StageMaker):
    """Score decomposition and formation energies of all materials.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : StabilitySettings
        Competing entries, and the threshold of stability.
    """

    algorithm: ClassVar[int] = 1

    name: str = "score stability"
    settings: StabilitySettings = field(default_factory=StabilitySettings)

    @task_job(output_schema=StabilityDoc, data="rows")
    def make(self, dataset: DatasetDoc, relaxation: RelaxationDoc) -> StabilityDoc:
        """Build both hulls and compare them.

        Parameters
        ----------
        dataset : DatasetDoc
            The materials and their target energies.
        relaxation : RelaxationDoc
            The materials relaxed by one model.
        """
        materials = read_materials(artifact_path(dataset.materials))
        records = {
            outcome.material_id: outcome.record
            for outcome in read_outcomes(artifact_path(relaxation.records))
        }
        score = score_stability(_pair(materials, records), self.settings)
        return StabilityDoc(
            model=relaxation.model,
            labels=dataset.labels,
            settings=self.settings,
            **{name: getattr(score, name) for name in type(score).model_fields},
            provenance=provenance(),
        )


def _pair(
    materials: Materials, records: Mapping[str, RelaxationRecord]
) -> list[MaterialEnergies]:
    """Pair the target energy of each material with the energies of the model."""
    initial = materials.initial
    paired = []
    for name, split, composition, energy in zip(
        initial.material_ids.tolist(),
        initial.splits.tolist(),
        initial.compositions(),
        materials.energies.tolist(),
        strict=True,
    ):
        record = records[name]
        paired.append(
            MaterialEnergies(
                material_id=name,
                composition=composition.get_el_amt_dict(),
                split=split,
                target_energy=energy if energy == energy else None,  # noqa: PLR0124 - NaN
                predicted_energy=record.energy,
                unrelaxed_energy=record.initial_energy,
                status=record.status,
            )
        )
    return paired
