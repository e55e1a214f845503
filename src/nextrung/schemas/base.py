"""Base classes of settings, results and stored documents."""

from __future__ import annotations

from pathlib import PurePosixPath
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Shortens values in messages, which may be whole files.
_QUOTES = Repr()
_QUOTES.maxstring = _QUOTES.maxother = 120


def quote(value: object) -> str:
    """Format a value for an error message, shortened where it is long.

    Parameters
    ----------
    value : object
        The value.
    """
    return _QUOTES.repr(value)


class InputError(ValueError):
    """Invalid input; the message says what was expected, what was got, and where."""


class Record(BaseModel):
    """Frozen pydantic model that forbids unknown fields and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_type_tags(cls, data: Any) -> Any:  # noqa: ANN401
        """Drop the ``@module``, ``@class`` tags monty adds to stored documents."""
        if isinstance(data, dict) and "@class" in data:
            return {key: value for key, value in data.items() if key[:1] != "@"}
        return data


class Artifact(Record):
    """Reference to a file in the content-addressed artifacts folder."""

    path: str = Field(description="Path relative to the artifacts folder.")
    sha256: str = Field(min_length=64, max_length=64, description="SHA-256 hash.")
    size: int = Field(ge=0, description="Size in bytes.")

    @property
    def suffix(self) -> str:
        """Suffix of the file name, such as ``.pth.tar``."""
        return "".join(PurePosixPath(self.path).suffixes)


class Provenance(Record):
    """Inputs, software and hardware that a result was computed with."""

    fingerprint: str = Field(
        description="Hash of the settings, the inputs and the version of the algorithm."
    )
    parents: dict[str, str] = Field(
        default_factory=dict, description="Fingerprint of each input, by name."
    )
    versions: dict[str, str] = Field(
        description="Installed version of each package that affects the result."
    )
    git_commit: str | None = Field(
        None, description="Git commit of the code; null outside a checkout."
    )
    host: str = Field(description="Host name of the machine.")
    device: str = Field(description="CPU or GPU model that ran the job.")
    partition: str | None = Field(
        None, description="Slurm partition of the job; null outside Slurm."
    )
    queue_job: str | None = Field(None, description="Slurm job id; null outside Slurm.")
    visible_gpus: str | None = Field(
        None, description="CUDA_VISIBLE_DEVICES of the job; null if unset."
    )
    completed_at: str = Field(description="End of the computation, UTC, ISO 8601.")
    wall_time: float = Field(ge=0, description="Duration of the computation in s.")
    processor_time: float | None = Field(
        None,
        ge=0,
        description="Processor time of the computation in s, all threads and all "
        "processes that it started and that ended; null in older documents.",
    )


class TaskDocumentKwargs(Record):
    """Options of documents, by the names that the powerups of atomate2 use."""

    additional_fields: dict[str, Any] = Field(
        default_factory=dict, description="Metadata of the stored document."
    )


class TaskDoc(Record):
    """Output of one job."""

    provenance: Provenance = Field(description="Inputs, versions and host.")

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Files that the document refers to."""
        return tuple(_list_artifacts(self))


class ModelDoc(TaskDoc):
    """Output of one job that scores one model."""

    model: str = Field(description="Model of the study, or name of the potential.")
    labels: str = Field(description="Functional and origin of the labels.")


def _list_artifacts(record: Record) -> Iterator[Artifact]:
    """List the artifacts in the fields of a record and of the records in them."""
    for name in type(record).model_fields:
        value = getattr(record, name)
        if isinstance(value, Artifact):
            yield value
        elif isinstance(value, Record):
            yield from _list_artifacts(value)
