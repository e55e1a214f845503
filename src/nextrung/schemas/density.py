"""Settings, scores and documents of densities against experiment."""

from __future__ import annotations

from pydantic import Field
from pymatgen.core import Structure

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

#: Name of the crystals that come with the package.
EMBEDDED = "embedded"


class DensitySettings(Record):
    """Which crystals are compressed and relaxed, and how."""

    source: str = Field(
        EMBEDDED,
        description="`embedded`, or a folder of CIFs of ordered experimental crystals.",
    )
    n_crystals: int | None = Field(
        None, ge=1, description="Crystals drawn at random; null for all of them."
    )
    seed: int = Field(0, ge=0, description="Seed of that draw.")
    linear_strain: float = Field(
        -0.10, gt=-1, description="Strain of every lattice vector before relaxation."
    )
    relaxation: RelaxationSettings = Field(
        RelaxationSettings(fmax=0.03, max_steps=1000),
        description="How the strained crystals are relaxed.",
    )


class ExperimentalCrystal(Record):
    """A crystal structure that was measured."""

    crystal_id: str = Field(description="Unique name of the crystal.")
    structure: Structure = Field(description="Ordered structure as measured.")
    temperature: float | None = Field(
        None, ge=0, description="Temperature of the measurement in K."
    )
    reference: str | None = Field(None, description="Where the structure comes from.")


class DensityRecord(Record):
    """Density of one crystal, measured and predicted."""

    crystal_id: str = Field(description="Name of the crystal.")
    formula: str = Field(description="Reduced formula.")
    experimental_density: float = Field(gt=0, description="Measured, in g/cm³.")
    predicted_density: float | None = Field(
        description="Of the last structure in g/cm³; null where there is none."
    )
    ratio: float | None = Field(
        description="Measured over predicted density; null unless converged."
    )
    status: RelaxationStatus = Field(description="How the relaxation ended.")
    n_steps: int = Field(ge=0, description="Optimiser steps done.")
    temperature: float | None = Field(
        None, description="Temperature of the measurement in K."
    )
    reference: str | None = Field(None, description="Where the structure comes from.")
    error: str | None = Field(None, description="Why the relaxation failed.")


class DensityScore(Record):
    """Densities of one model against experiment, over converged relaxations."""

    mae: float | None = Field(
        description="Mean absolute error in g/cm³; null where nothing converged."
    )
    mean_ratio: float | None = Field(
        description="Mean of measured over predicted density."
    )
    n_crystals: int = Field(ge=0, description="Crystals relaxed.")
    n_failed: int = Field(ge=0, description="Crystals whose relaxation did not end.")
    rows: list[DensityRecord] = Field(description="Every crystal, in the order given.")


class DensityDoc(DensityScore, TaskDoc):
    """How well one model predicts the densities of experimental crystals."""

    model: str = Field(description="Model of the study, or name of the potential.")
    labels: str = Field(description="Functional and origin of the model's labels.")
    settings: DensitySettings = Field(description="Settings the scores ran with.")
