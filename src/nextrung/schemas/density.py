"""Settings, scores and documents of densities compared with experiment."""

from __future__ import annotations

from pydantic import Field
from pymatgen.core import Structure

from nextrung.schemas.base import ModelDoc, Record
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

#: Name of the set of crystals that is part of the package.
EMBEDDED = "embedded"


class DensitySettings(Record):
    """Which experimental crystals are strained and relaxed, and how."""

    source: str = Field(
        EMBEDDED,
        description="`embedded` for the crystals of the package, or a folder with CIF "
        "files of ordered experimental crystals.",
    )
    n_crystals: int | None = Field(
        None, ge=1, description="Number of crystals to draw at random; null for all."
    )
    seed: int = Field(0, ge=0, description="Random seed of the draw of crystals.")
    linear_strain: float = Field(
        -0.10,
        gt=-1,
        description="Strain of every lattice vector before relaxation, as a fraction; "
        "-0.1 makes each of them 10 % shorter.",
    )
    relaxation: RelaxationSettings = Field(
        RelaxationSettings(fmax=0.03, max_steps=1000),
        description="How the strained crystals are relaxed.",
    )


class ExperimentalCrystal(Record):
    """Experimental crystal structure."""

    crystal_id: str = Field(description="Unique id of the crystal.")
    structure: Structure = Field(description="Ordered experimental structure.")
    temperature: float | None = Field(
        None, ge=0, description="Temperature of the experiment in K."
    )
    reference: str | None = Field(None, description="Origin of the structure.")


class UnreadableCrystal(Record):
    """A file of a crystal that cannot be relaxed."""

    crystal_id: str = Field(description="Unique id of the crystal.")
    reference: str | None = Field(None, description="Name of the file.")
    reason: str = Field(description="Why it cannot be read, or is not ordered.")


class DensityFields(Record):
    """Experimental and predicted density of one crystal."""

    formula: str | None = Field(
        description="Reduced formula; null where the file cannot be read."
    )
    experimental_density: float | None = Field(
        gt=0,
        description="Experimental density in g/cm³; null where it cannot be read.",
    )
    predicted_density: float | None = Field(
        description="Density of the relaxed structure in g/cm³; null without one."
    )
    ratio: float | None = Field(
        description="Experimental over predicted density; null unless converged."
    )
    status: RelaxationStatus = Field(description="Status of the relaxation.")
    n_steps: int = Field(ge=0, description="Optimiser steps.")
    temperature: float | None = Field(
        None, description="Temperature of the experiment in K."
    )
    reference: str | None = Field(None, description="Origin of the structure.")
    error: str | None = Field(
        None, description="Why the file cannot be read, or the relaxation failed."
    )


class DensityRecord(DensityFields):
    """Experimental and predicted density of one crystal, by its id."""

    crystal_id: str = Field(description="Id of the crystal.")


class DensityErrors(Record):
    """Density errors of one model over converged relaxations."""

    mae: float | None = Field(
        description="Mean absolute error in g/cm³; null where nothing converged."
    )
    mean_ratio: float | None = Field(description="Mean of experiment over prediction.")
    n_crystals: int = Field(ge=0, description="Crystals, unreadable ones included.")
    n_failed: int = Field(
        ge=0, description="Files not read, and relaxations that did not converge."
    )


class DensityScore(DensityErrors):
    """Density errors of one model, and the density of each crystal."""

    rows: list[DensityRecord] = Field(description="Every crystal, in the order given.")


class DensityDoc(DensityScore, ModelDoc):
    """Densities of experimental crystals relaxed by one model."""

    settings: DensitySettings = Field(description="Settings of the stage.")
