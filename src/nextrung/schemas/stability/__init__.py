"""Settings, scores and documents of phase stability."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nextrung.schemas.base import Artifact, ModelDoc, Record
from nextrung.schemas.relaxation import RelaxationStatus


class Competitors(StrEnum):
    """Which entries compete with an entry."""

    OTHER_COMPOSITIONS = "other_compositions"
    SELF = "self"


class StabilitySettings(Record):
    """Definition of decomposition energy and of stability."""

    competitors: Competitors = Field(
        Competitors.OTHER_COMPOSITIONS,
        description="Entries that compete with an entry: `other_compositions` (Bartel "
        "et al. 2020), or `self`: all but the entry itself, polymorphs included.",
    )
    stable_below: float = Field(
        0.0, description="Maximum decomposition energy of a stable material, eV/atom."
    )


class CompetingPhase(Record):
    """Phase that an entry decomposes into."""

    entry_id: str = Field(description="Id of the phase's entry.")
    formula: str = Field(description="Reduced formula of the phase.")
    amount: float = Field(ge=0, description="Fraction of the atoms in the phase.")


class DecompositionRecord(Record):
    """Decomposition of one entry; all null where it failed."""

    entry_id: str = Field(description="Id of the entry.")
    formula: str = Field(description="Reduced formula.")
    decomposition_energy_per_atom: float | None = Field(
        None,
        description="Energy above the hull of the competitors in eV/atom; negative for "
        "an entry below it. For an element: energy above its ground state.",
    )
    energy_above_hull: float | None = Field(
        None, description="Energy above the hull of all entries in eV/atom."
    )
    formation_energy_per_atom: float | None = Field(
        None, description="Energy above the lowest elemental entries in eV/atom."
    )
    competing_phases: tuple[CompetingPhase, ...] = Field(
        (), description="Decomposition products, largest amount first."
    )
    error: str | None = Field(None, description="Why the energies are missing.")


class MaterialStability(Record):
    """Stability of one material according to labels and to a model."""

    material_id: str = Field(description="Id of the material.")
    formula: str = Field(description="Reduced formula.")
    chemical_system: str = Field(description="Elements, sorted, joined by hyphens.")
    split: str = Field(description="Split of the material.")
    status: RelaxationStatus = Field(description="Status of the model's relaxation.")
    target_decomposition_energy: float | None = Field(
        description="Decomposition energy from the labels in eV/atom."
    )
    predicted_decomposition_energy: float | None = Field(
        description="Decomposition energy from the model's relaxed energies in "
        "eV/atom; failed relaxations are left out of the hull.",
    )
    target_energy_above_hull: float | None = Field(
        description="Energy above the hull of the labels in eV/atom."
    )
    predicted_energy_above_hull: float | None = Field(
        description="Energy above the hull of the model's relaxed energies in eV/atom."
    )
    target_formation_energy: float | None = Field(
        description="Formation energy of the label in eV/atom."
    )
    predicted_formation_energy: float | None = Field(
        description="Formation energy in eV/atom from the model's elemental entries."
    )
    same_products: bool | None = Field(
        description="Whether both decompose into the same compositions."
    )
    target_stable: bool | None = Field(
        description="Whether the material is stable according to the labels."
    )
    predicted_stable: bool | None = Field(
        description="Whether the material is stable according to the model."
    )
    error: str | None = Field(None, description="Why an energy is missing.")


class StabilityRecord(MaterialStability):
    """Stability of one material, with energies and decomposition products."""

    target_energy_per_atom: float | None = Field(description="Label in eV/atom.")
    predicted_energy_per_atom: float | None = Field(
        description="Energy after relaxation in eV/atom; null if it failed."
    )
    predicted_decomposition_energy_unrelaxed: float | None = Field(
        description="Decomposition energy from the model in eV/atom, with unrelaxed "
        "energies in place of failed relaxations.",
    )
    predicted_formation_energy_target_references: float | None = Field(
        description="Formation energy in eV/atom from the labels' elemental entries."
    )
    target_competing_phases: tuple[CompetingPhase, ...] = Field(
        description="Decomposition products according to the labels."
    )
    predicted_competing_phases: tuple[CompetingPhase, ...] = Field(
        description="Decomposition products according to the model."
    )


class StabilityErrors(Record):
    """Stability errors over a set of materials; null where values are missing."""

    n_materials: int = Field(ge=0, description="Materials with both energies.")
    n_missing: int = Field(ge=0, description="Materials without one of them.")
    decomposition_energy_mae: float | None = Field(
        None, description="Mean absolute error of decomposition energies in eV/atom."
    )
    formation_energy_mae: float | None = Field(
        None,
        description="Mean absolute error of formation energies in eV/atom; labels and "
        "model each from their own elemental entries.",
    )
    formation_energy_mae_target_references: float | None = Field(
        None,
        description="Mean absolute error of formation energies in eV/atom, both from "
        "the labels' elemental entries.",
    )
    n_elements: int = Field(
        0,
        ge=0,
        description="Elements among `n_materials`; the error of each ground "
        "state is zero by definition.",
    )
    decomposition_energy_mae_compounds: float | None = Field(
        None, description="The same as `decomposition_energy_mae`, without elements."
    )
    formation_energy_mae_compounds: float | None = Field(
        None, description="The same as `formation_energy_mae`, without elements."
    )
    decomposition_energy_baseline_mae: float | None = Field(
        None, description="MAE of predicting zero decomposition energies in eV/atom."
    )
    formation_energy_baseline_mae: float | None = Field(
        None, description="MAE of predicting zero formation energies in eV/atom."
    )
    same_products: float | None = Field(
        None, description="Fraction of materials with the same decomposition products."
    )
    true_stable: int = Field(0, ge=0, description="Stable, predicted stable.")
    false_stable: int = Field(0, ge=0, description="Unstable, predicted stable.")
    true_unstable: int = Field(0, ge=0, description="Unstable, predicted unstable.")
    false_unstable: int = Field(0, ge=0, description="Stable, predicted unstable.")
    precision: float | None = Field(
        None, description="Fraction of predicted stable materials that are stable."
    )
    recall: float | None = Field(
        None, description="Fraction of stable materials that are predicted stable."
    )
    f1: float | None = Field(None, description="Harmonic mean of precision and recall.")


class StabilityScore(Record):
    """Stability of all materials according to a model, compared with labels."""

    metrics: dict[str, StabilityErrors] = Field(
        description="Errors by split, and for `all`, without failed relaxations."
    )
    metrics_with_unrelaxed: dict[str, StabilityErrors] = Field(
        description="Errors with unrelaxed energies in place of failed relaxations."
    )
    n_materials: int = Field(ge=0, description="Materials scored.")
    n_failed_relaxations: int = Field(ge=0, description="Relaxations without energy.")
    statuses: dict[str, int] = Field(
        description="Number of relaxations by status; absent statuses did not occur."
    )


class StabilityDoc(StabilityScore, ModelDoc):
    """Stability scores of one model."""

    settings: StabilitySettings = Field(description="Settings of the stage.")
    records: Artifact = Field(
        description="One row per material, in order, Parquet; the columns are the "
        "fields of `StabilityRecord`."
    )
