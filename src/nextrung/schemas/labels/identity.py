"""Identity of labels: everything about a calculation that moves its energy."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from nextrung.schemas.base import Record


class LabelIdentity(Record):
    """How a run was calculated; runs that differ in it may differ in energy scale."""

    code: str = Field(description="Program, such as VASP; empty where unknown.")
    version: str = Field("", description="Version of the program; empty where unknown.")
    functional: str = Field(description="Functional of the labels.")
    potentials: dict[str, str] = Field(
        default_factory=dict,
        description="Title of the pseudopotential or PAW data set, by element.",
    )
    potential_hashes: dict[str, str] = Field(
        default_factory=dict,
        description="Hash of the pseudopotential with its kind, such as "
        "`sha256:79d9…`, by element; empty where unknown.",
    )
    hubbard_us: dict[str, float] = Field(
        default_factory=dict, description="Hubbard U above zero in eV, by element."
    )
    plane_wave_cutoff: float | None = Field(
        None, description="Plane-wave cutoff in eV; null where unknown."
    )
    k_spacing: float | None = Field(
        None,
        description="Largest distance of neighboring k-points in 1/Å, 2π included; "
        "null where unknown.",
    )
    smearing: str = Field("", description="Kind and width; empty where unknown.")
    projection: str = Field(
        "", description="Projection in `real` or `reciprocal` space; empty if unknown."
    )
    energy: str = Field("", description="Energy that is the label.")


class IdentityValue(Record):
    """Runs of a data set that agree in one field of their identity."""

    field: str = Field(description="Field, with the element where it has one.")
    value: str = Field(description="Its value.")
    n_runs: int = Field(ge=1, description="Runs that have it.")
    example: str = Field(description="Name of the first of these runs.")


class Mixture(Record):
    """A field in which the runs of a data set differ."""

    field: str = Field(description="Field, with the element where it has one.")
    values: list[IdentityValue] = Field(description="Its values, most frequent first.")
    energy_difference: float | None = Field(
        description="Largest difference of the lowest relaxed energies of one "
        "composition in eV/atom between values; null where no two runs share one."
    )
    composition: str | None = Field(
        description="Composition of that difference; null where there is none."
    )


class Outlier(Record):
    """A run whose labels do not fit those of the other runs."""

    run_id: str = Field(description="Name of the run.")
    kind: str = Field(description="`energy`, `forces` or `stress`.")
    reason: str = Field(description="What was expected and what was got, in figures.")


class IdentitySummary(Record):
    """How the runs of a data set were calculated, and what they have in common."""

    identities: list[IdentityValue] = Field(
        default_factory=list, description="Every value of every field of the identity."
    )
    mixtures: list[Mixture] = Field(
        default_factory=list, description="Fields in which runs differ."
    )
    same_crystals: list[list[str]] = Field(
        default_factory=list,
        description="Materials of several names that end in the same crystal.",
    )


class FileCounts(Record):
    """Files below the folders of a source: each is counted once."""

    n_files: int = Field(ge=0, description="All files.")
    n_read: int = Field(ge=0, description="Files that were read as a run.")
    n_unreadable: int = Field(ge=0, description="Runs of which no file can be read.")
    n_second: int = Field(ge=0, description="Further output files of the same runs.")
    n_other: int = Field(ge=0, description="Files that are not named as output files.")

    @model_validator(mode="after")
    def _validate_sum(self) -> Self:
        """Validate that every file is counted once."""
        counted = self.n_read + self.n_unreadable + self.n_second + self.n_other
        if counted != self.n_files:
            raise ValueError(f"expected {self.n_files} files in all, got {counted}")
        return self


class LabelAudit(IdentitySummary):
    """What the labels of a data set have in common, and which of them do not."""

    n_runs: int = Field(ge=0, description="Runs read.")
    n_frames: int = Field(ge=0, description="Frames read.")
    n_unreadable: dict[str, int] = Field(
        description="Files or documents that gave no run, by rule."
    )
    files: FileCounts | None = Field(
        description="Files of the source; null where it has documents."
    )
    outliers: list[Outlier] = Field(description="Runs that do not fit the others.")
    potential: str | None = Field(
        description="Potential that labels were compared with; null for none."
    )
