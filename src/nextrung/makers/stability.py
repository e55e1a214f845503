"""Job that compares the convex hulls of a model and of the labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.frames import read_materials
from nextrung.adapters.files.relaxation_table import read_energies
from nextrung.adapters.files.stability_table import write_stability
from nextrung.compute.stability import EntryTable, score_stability
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job, work_folder
from nextrung.schemas.stability import StabilityDoc, StabilitySettings

if TYPE_CHECKING:
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.relaxation import RelaxationDoc


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

    algorithm: ClassVar[int] = 2

    name: str = "score stability"
    settings: StabilitySettings = field(default_factory=StabilitySettings)

    @task_job(output_schema=StabilityDoc)
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
        initial = materials.initial
        energies = read_energies(
            artifact_path(relaxation.records), initial.material_ids.tolist()
        )
        labels = EntryTable.from_frames(initial, materials.energies)
        score, table = score_stability(
            labels, energies, self.settings, splits=initial.splits
        )
        file = work_folder() / "stability.parquet"
        write_stability(table, file)
        return StabilityDoc(
            **dict(score),
            model=relaxation.model,
            labels=dataset.labels,
            settings=self.settings,
            records=store_artifact(file, "stability"),
            provenance=provenance(),
        )
