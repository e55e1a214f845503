"""Job that reads, curates and splits the labelled frames of a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from nextrung.adapters.curation.dataset import curate, source_digest
from nextrung.adapters.curation.frames_file import store_frames_file
from nextrung.adapters.curation.stored_dataset import store_dataset
from nextrung.adapters.files.artifacts import hash_file
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import (
    provenance,
    report_progress,
    task_job,
)
from nextrung.schemas.dataset import DatasetDoc, DatasetSettings


@dataclass(kw_only=True)
class DatasetMaker(StageMaker):
    """Read, curate and split the labels of a study.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : DatasetSettings
        Source of the frames, rules of curation, and splits.
    """

    algorithm: ClassVar[int] = 1

    name: str = "curate frames"
    settings: DatasetSettings = field(default_factory=DatasetSettings)

    def digest_files(self) -> str:
        """Hash the files of the source."""
        return source_digest(self.settings.source)

    @task_job(output_schema=DatasetDoc)
    def make(self) -> DatasetDoc:
        """Curate the frames of the source and store them."""
        curated = curate(self.settings, report_progress)
        return DatasetDoc(
            settings=self.settings,
            provenance=provenance(),
            **store_dataset(curated, self.settings),
        )


@dataclass(kw_only=True)
class FramesFileMaker(StageMaker):
    """Take a frames file as a data set, in the splits it has.

    Parameters
    ----------
    name : str
        Name of the job.
    path : str
        The file, Parquet.
    """

    algorithm: ClassVar[int] = 1

    name: str = "read frames"
    path: str = "frames.parquet"

    def digest_files(self) -> str:
        """Hash the frames file."""
        return hash_file(Path(self.path))

    @task_job(output_schema=DatasetDoc)
    def make(self) -> DatasetDoc:
        """Store the frames of the file."""
        return DatasetDoc(provenance=provenance(), **store_frames_file(Path(self.path)))
