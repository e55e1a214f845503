"""Base classes of everything that is stored."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class InputError(ValueError):
    """Input that cannot be used: what was expected, what was got, and where."""


class Record(BaseModel):
    """An immutable value: settings, a result, or a part of a document."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_type_tags(cls, data: Any) -> Any:  # noqa: ANN401
        """Drop the ``@module``, ``@class`` tags monty adds to stored documents."""
        if isinstance(data, dict) and "@class" in data:
            return {key: value for key, value in data.items() if key[:1] != "@"}
        return data


class Artifact(Record):
    """A file too large for a document, named by its content."""

    path: str = Field(description="Path below the artifacts folder.")
    sha256: str = Field(min_length=64, max_length=64, description="Hash of the file.")
    size: int = Field(ge=0, description="Size in bytes.")


class Provenance(Record):
    """Where, when and with what a result was computed."""

    fingerprint: str = Field(
        description="Hash of the settings, the inputs and the versions that matter."
    )
    parents: dict[str, str] = Field(
        default_factory=dict, description="Fingerprint of each input, by its name."
    )
    versions: dict[str, str] = Field(
        description="Installed version of each package that shapes the result."
    )
    git_commit: str | None = Field(
        None, description="Commit of the checkout that ran, where it was one."
    )
    host: str = Field(description="Name of the machine.")
    device: str = Field(description="Processor or accelerator that ran the job.")
    partition: str | None = Field(
        None, description="Slurm partition that ran the job; null outside Slurm."
    )
    queue_job: str | None = Field(
        None, description="Slurm job that ran it; null outside Slurm."
    )
    visible_gpus: str | None = Field(
        None, description="CUDA_VISIBLE_DEVICES of the job; null where unset."
    )
    completed_at: str = Field(description="End of the computation, UTC, ISO 8601.")
    wall_time: float = Field(ge=0, description="Duration of the computation in s.")


class TaskDocumentKwargs(Record):
    """Options of documents, by the names that the powerups of atomate2 use."""

    additional_fields: dict[str, Any] = Field(
        default_factory=dict, description="Metadata of the stored document."
    )


class TaskDoc(Record):
    """The output of one job."""

    provenance: Provenance = Field(description="Where the result came from.")
