"""How far a study is on a cluster."""

from __future__ import annotations

from pydantic import Field

from nextrung.schemas.base import Record


class ShardProgress(Record):
    """How far the relaxation of all materials is, over all models."""

    n_done: int = Field(ge=0, description="Shards relaxed.")
    n_left: int = Field(ge=0, description="Shards planned and not relaxed yet.")
    n_materials: int = Field(ge=0, description="Materials of the shards relaxed.")
    busy_hours: float = Field(
        ge=0, description="Time in h during which at least one shard ran."
    )
    materials_per_hour: float | None = Field(
        description="Materials over busy time; null before the first shard."
    )
    hours_left: float | None = Field(
        description="Shards left at the same rate, in h; null where unknown."
    )


class StudyProgress(Record):
    """How far a study is: its newest workflow, and its shards."""

    study: str = Field(description="Name of the study.")
    workflow: int = Field(description="Smallest firework id of the newest workflow.")
    state: str = Field(description="State of the workflow.")
    jobs: dict[str, dict[str, int]] = Field(
        description="Number of jobs, by kind and state; kinds in order of the study."
    )
    failed: dict[int, str] = Field(description="Names of failed jobs, by firework id.")
    shards: ShardProgress = Field(description="Relaxations of all materials.")
