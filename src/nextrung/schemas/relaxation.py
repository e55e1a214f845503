"""Settings, results and documents of structure relaxation."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field
from pymatgen.core import Structure

from nextrung.schemas.base import Artifact, Record, TaskDoc


class RelaxationEngine(StrEnum):
    """Who moves the atoms."""

    BATCHED = "batched"
    ASE = "ase"


class CellDegrees(StrEnum):
    """Which degrees of freedom of the cell relax."""

    FULL = "full"
    FIXED_VOLUME = "fixed_volume"
    FIXED = "fixed"


class RelaxationStatus(StrEnum):
    """How a relaxation ended."""

    CONVERGED = "converged"
    MAX_STEPS = "max_steps"
    ISOLATED_ATOM = "isolated_atom"
    NON_FINITE = "non_finite"
    ERROR = "error"


class RelaxationSettings(Record):
    """How structures are relaxed: FIRE on positions and cell, as ASE does it."""

    engine: RelaxationEngine = Field(
        RelaxationEngine.BATCHED, description="Who moves the atoms."
    )
    fmax: float = Field(
        0.1, gt=0, description="Largest generalised force at the end in eV/Å."
    )
    max_steps: int = Field(500, ge=0, description="Steps after which to give up.")
    cell: CellDegrees = Field(
        CellDegrees.FULL, description="Which degrees of freedom of the cell relax."
    )
    fix_symmetry: bool = Field(
        default=False, description="Whether the initial space group is kept."
    )


class RelaxationRecord(Record):
    """How one relaxation ended; a failure is a record too."""

    status: RelaxationStatus = Field(description="How the relaxation ended.")
    energy: float | None = Field(
        description="Total energy of the last structure in eV; null where it failed."
    )
    initial_energy: float | None = Field(
        None, description="Total energy of the first structure in eV."
    )
    structure: Structure | None = Field(
        description="Last structure whose energy was finite; null where there is none."
    )
    n_steps: int = Field(ge=0, description="Optimiser steps done.")
    fmax: float | None = Field(
        None, description="Largest generalised force at the end in eV/Å."
    )
    error: str | None = Field(None, description="Why the relaxation failed.")

    @property
    def failed(self) -> bool:
        """Whether the relaxation has no energy to score."""
        return self.energy is None


class ShardPlan(Record):
    """One shard of the materials, as light as a job description has to be."""

    model: str = Field(description="Model of the study, or name of the potential.")
    checkpoint: Artifact = Field(description="Weights of the model.")
    materials: Artifact = Field(description="All materials of the study.")
    shard: int = Field(ge=0, description="Number of the share, from 0.")
    n_shards: int = Field(ge=1, description="Number of shares.")
    parents: dict[str, str] = Field(
        description="Fingerprints of the data set and of the model."
    )


class ShardDoc(TaskDoc):
    """Output of the job that relaxes one share of the materials."""

    plan: ShardPlan = Field(description="Which share it was.")
    settings: RelaxationSettings = Field(description="How structures were relaxed.")
    n_materials: int = Field(ge=0, description="Materials of the share.")
    records: Artifact = Field(description="One row per material, Parquet.")


class RelaxationDoc(TaskDoc):
    """All materials of a study relaxed by one model."""

    model: str = Field(description="Model of the study, or name of the potential.")
    settings: RelaxationSettings = Field(description="How structures were relaxed.")
    n_materials: int = Field(ge=0, description="Materials relaxed.")
    n_failed: int = Field(ge=0, description="Relaxations that gave no energy.")
    statuses: dict[str, int] = Field(
        description="Relaxations, by how they ended; an absent status never occurred."
    )
    n_steps: int = Field(ge=0, description="Optimiser steps of all relaxations.")
    relaxation_time: float = Field(
        ge=0, description="Wall time of all shards together in s."
    )
    records: Artifact = Field(description="One row per material, Parquet.")
