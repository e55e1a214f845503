"""Progress of a study on a cluster."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, computed_field

from nextrung.schemas.base import Record


class ShardProgress(Record):
    """Progress of the relaxation of all materials, over all models."""

    n_done: int = Field(ge=0, description="Shards relaxed.")
    n_left: int = Field(ge=0, description="Shards planned and not yet relaxed.")
    n_materials: int = Field(ge=0, description="Materials of the relaxed shards.")
    n_running_materials: int = Field(
        0, ge=0, description="Materials that running shards have relaxed so far."
    )
    busy_hours: float = Field(
        ge=0, description="Time in h during which at least one shard ran."
    )
    materials_per_hour: float | None = Field(
        description="Materials per busy hour; null before the first shard is done."
    )
    hours_left: float | None = Field(
        description="Estimated time for the shards left in h; null where unknown."
    )


class RunningJob(Record):
    """Progress of a running job, as its worker reported it."""

    uuid: str = Field(description="Job.")
    name: str = Field(description="Name of the job.")
    host: str = Field(description="Machine that runs it.")
    done: int = Field(ge=0, description="Epochs, materials or other steps done.")
    total: int = Field(ge=0, description="Steps to do.")
    text: str = Field(description="Errors of the last epoch, failed materials, etc.")
    first_done: int = Field(ge=0, description="Steps done before this run of the job.")
    started_at: datetime = Field(description="Time of the first report.")
    updated_at: datetime = Field(description="Time of the last report.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def steps_per_hour(self) -> float | None:
        """Steps of this run per hour; null before the second report."""
        hours = (self.updated_at - self.started_at).total_seconds() / 3600
        steps = self.done - self.first_done
        return steps / hours if steps > 0 and hours > 0 else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def hours_left(self) -> float | None:
        """Estimated time for the steps left in h; null where unknown."""
        rate = self.steps_per_hour
        return (self.total - self.done) / rate if rate else None


class FailedJob(Record):
    """Failed job of a study, and the reason."""

    fw_id: int = Field(description="Id of the firework.")
    name: str = Field(description="Name of the job.")
    reason: str = Field(description="Exception of its last run, in one line.")


class StudyProgress(Record):
    """State of the newest workflow of a study, and progress of its shards."""

    study: str = Field(description="Name of the study.")
    workflow: int = Field(description="Smallest firework id of the newest workflow.")
    state: str = Field(description="FireWorks state of the workflow.")
    jobs: dict[str, dict[str, int]] = Field(
        description="Number of jobs, by kind and state; kinds in order of the study."
    )
    running: list[RunningJob] = Field(
        description="Running jobs that have reported their progress."
    )
    failed: list[FailedJob] = Field(description="Failed jobs, by firework id.")
    shards: ShardProgress = Field(description="Progress of the relaxation shards.")
