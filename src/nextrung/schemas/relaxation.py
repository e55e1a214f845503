"""Settings, results and documents of structure relaxation."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field
from pymatgen.core import Structure

from nextrung.schemas.base import Artifact, Record, TaskDoc


class RelaxationEngine(StrEnum):
    """Implementation that relaxes structures."""

    BATCHED = "batched"
    ASE = "ase"


class CellDegrees(StrEnum):
    """Degrees of freedom of the cell that are relaxed."""

    FULL = "full"
    FIXED_VOLUME = "fixed_volume"
    FIXED = "fixed"


class RelaxationStatus(StrEnum):
    """Status at the end of a relaxation."""

    CONVERGED = "converged"
    MAX_STEPS = "max_steps"
    ISOLATED_ATOM = "isolated_atom"
    NON_FINITE = "non_finite"
    ERROR = "error"


class RelaxationSettings(Record):
    """Relaxation with FIRE and ASE's Frechet cell filter."""

    engine: RelaxationEngine = Field(
        RelaxationEngine.BATCHED,
        description="`batched` relaxes many structures at once, `ase` one after the "
        "other with ASE; the results agree.",
    )
    fmax: float = Field(
        0.1,
        gt=0,
        description="Maximum force in eV/Å, cell gradient included, at which a "
        "relaxation has converged.",
    )
    max_steps: int = Field(
        500,
        ge=0,
        description="Maximum number of optimiser steps; 0 evaluates the initial "
        "structure only.",
    )
    cell: CellDegrees = Field(
        CellDegrees.FULL,
        description="`full` relaxes the cell, `fixed_volume` its shape alone, `fixed` "
        "only atomic positions.",
    )
    fix_symmetry: bool = Field(
        default=False, description="Whether the initial space group is preserved."
    )


class RelaxationRecord(Record):
    """Result of one relaxation, failed ones included."""

    status: RelaxationStatus = Field(description="Status at the end.")
    energy: float | None = Field(
        description="Total energy of the final structure in eV; null if it failed, or "
        "an element has no atomic reference energy."
    )
    initial_energy: float | None = Field(
        None, description="Total energy of the initial structure in eV."
    )
    structure: Structure | None = Field(
        description="Last structure with finite forces; null where there is none."
    )
    n_steps: int = Field(ge=0, description="Optimiser steps.")
    fmax: float | None = Field(
        None, description="Maximum force at the end in eV/Å, cell gradient included."
    )
    error: str | None = Field(
        None, description="Why the relaxation failed, or has no energy."
    )
    note: str | None = Field(
        None,
        description="Elements whose reference energy is of a prior, and the standard "
        "error of the energy for it.",
    )

    @property
    def failed(self) -> bool:
        """Whether the relaxation has no final energy."""
        return self.energy is None


class ShardPlan(Record):
    """Input of a job that relaxes one shard of the materials."""

    model: str = Field(description="Model of the study, or name of the potential.")
    checkpoint: Artifact = Field(description="Checkpoint of the model.")
    materials: Artifact = Field(description="All materials of the study.")
    shard: int = Field(ge=0, description="Index of the shard, from 0.")
    n_shards: int = Field(ge=1, description="Number of shards.")
    parents: dict[str, str] = Field(description="Fingerprints of data set and model.")


class ShardDoc(TaskDoc):
    """Output of a job that relaxes one shard of the materials."""

    plan: ShardPlan = Field(description="Input of the job.")
    settings: RelaxationSettings = Field(description="Settings of the relaxation.")
    n_materials: int = Field(ge=0, description="Materials of the shard.")
    n_damaged: int = Field(
        0,
        ge=0,
        description="Damaged lines of the log, and restart files, that were not used.",
    )
    records: Artifact = Field(description="One row per material, Parquet.")


class RelaxationDoc(TaskDoc):
    """Relaxation of all materials of a study by one model."""

    model: str = Field(description="Model of the study, or name of the potential.")
    settings: RelaxationSettings = Field(description="Settings of the relaxation.")
    n_materials: int = Field(ge=0, description="Materials relaxed.")
    n_failed: int = Field(ge=0, description="Relaxations without energy.")
    statuses: dict[str, int] = Field(
        description="Number of relaxations by status; absent statuses did not occur."
    )
    n_steps: int = Field(ge=0, description="Total number of optimiser steps.")
    relaxation_time: float = Field(ge=0, description="Wall time of all shards in s.")
    n_damaged: int = Field(
        0,
        ge=0,
        description="Damaged lines of the log, and restart files, that were not used.",
    )
    records: Artifact = Field(description="One row per material, Parquet.")
