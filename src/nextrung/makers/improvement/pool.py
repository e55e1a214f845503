"""Job that lists the structures of a pool that can be labelled for training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.frames import read_frames, write_frames
from nextrung.compute.curation.pool import (
    find_held_out,
    find_labelled,
    validate_pool_elements,
)
from nextrung.makers.jobs.models import open_frames
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job, work_folder
from nextrung.schemas.base import Artifact
from nextrung.schemas.dataset import DatasetDoc, SplitSettings
from nextrung.schemas.improvement import ExcludedCandidate, PoolDoc


@dataclass(kw_only=True)
class PoolMaker(StageMaker):
    """List the structures of a pool that are not of held-out materials.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : SplitSettings
        Unit of the split of the study, and when two structures are the same crystal.
    """

    algorithm: ClassVar[int] = 1

    name: str = "list candidates"
    settings: SplitSettings = field(default_factory=SplitSettings)

    @task_job(output_schema=PoolDoc)
    def make(self, pool: Artifact, dataset: DatasetDoc) -> PoolDoc:
        """Leave out structures of held-out materials, and those labelled already.

        Parameters
        ----------
        pool : Artifact
            Structures, Parquet.
        dataset : DatasetDoc
            Labelled frames in their splits.
        """
        structures = read_frames(artifact_path(Artifact.model_validate(pool)))
        frames = open_frames(dataset)
        validate_pool_elements(structures, frames)
        held_out = find_held_out(structures, frames, self.settings)
        excluded = find_labelled(structures, frames) | held_out
        kept = [index for index in range(len(structures)) if index not in excluded]
        file = work_folder() / "candidates.parquet"
        write_frames(structures[kept], file)
        return PoolDoc(
            settings=self.settings,
            n_structures=len(structures),
            n_candidates=len(kept),
            n_held_out=len(held_out),
            excluded=[
                ExcludedCandidate(
                    frame_id=str(structures.frame_ids[index]),
                    material_id=str(structures.material_ids[index]),
                    reason=excluded[index],
                )
                for index in sorted(excluded)
            ],
            candidates=store_artifact(file, "candidates"),
            provenance=provenance(),
        )
