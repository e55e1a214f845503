"""Progress of a study on a cluster."""

from __future__ import annotations

from pydantic import Field

from nextrung.schemas.base import Record


class ShardProgress(Record):
    """Progress of the relaxation of all materials, over all models."""

    n_done: int = Field(ge=0, description="Shards relaxed.")
    n_left: int = Field(ge=0, description="Shards planned and not yet relaxed.")
    n_materials: int = Field(ge=0, description="Materials of the relaxed shards.")
    busy_hours: float = Field(
        ge=0, description="Time in h during which at least one shard ran."
    )
    materials_per_hour: float | None = Field(
        description="Materials per busy hour; null before the first shard is done."
    )
    hours_left: float | None = Field(
        description="Estimated time for the shards left in h; null where unknown."
    )


class StudyProgress(Record):
    """State of the newest workflow of a study, and progress of its shards."""

    study: str = Field(description="Name of the study.")
    workflow: int = Field(description="Smallest firework id of the newest workflow.")
    state: str = Field(description="FireWorks state of the workflow.")
    jobs: dict[str, dict[str, int]] = Field(
        description="Number of jobs, by kind and state; kinds in order of the study."
    )
    failed: dict[int, str] = Field(description="Names of failed jobs, by firework id.")
    shards: ShardProgress = Field(description="Progress of the relaxation shards.")
