"""Settings, scores and documents of phase stability."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


class Competitors(StrEnum):
    """Which entries an entry competes with."""

    OTHER_COMPOSITIONS = "other_compositions"
    SELF = "self"


class StabilitySettings(Record):
    """How decomposition energies are defined and called stable."""

    competitors: Competitors = Field(
        Competitors.OTHER_COMPOSITIONS,
        description=(
            "Entries an entry competes with: those of other compositions (Bartel), "
            "or all but the entry itself, so that polymorphs compete."
        ),
    )
    stable_below: float = Field(
        0.0,
        description="Decomposition energy in eV/atom up to which a material is stable.",
    )


class CompetingPhase(Record):
    """One of the phases an entry decomposes into."""

    entry_id: str = Field(description="Entry of the phase.")
    formula: str = Field(description="Reduced formula of the phase.")
    amount: float = Field(ge=0, description="Share of the atoms that end up in it.")


class DecompositionRecord(Record):
    """Where one entry stands among its competitors; all null where it failed."""

    entry_id: str = Field(description="Name of the entry.")
    formula: str = Field(description="Reduced formula.")
    decomposition_energy_per_atom: float | None = Field(
        None,
        description="Energy above the hull of the competitors in eV/atom; below zero "
        "for an entry that extends it. Elements: above their ground state.",
    )
    energy_above_hull: float | None = Field(
        None, description="Energy above the hull of all entries in eV/atom."
    )
    formation_energy_per_atom: float | None = Field(
        None, description="Energy above the lowest elemental entries in eV/atom."
    )
    competing_phases: tuple[CompetingPhase, ...] = Field(
        (), description="Competitors with the lowest energy, largest amount first."
    )
    error: str | None = Field(None, description="Why there is no energy.")


@dataclass(frozen=True)
class MaterialEnergies:
    """Energies of one material from the labels and from a model.

    Parameters
    ----------
    material_id : str
        Unique name of the material.
    composition : mapping of str to float
        Number of atoms of each element in the cell.
    split : str
        ``train``, ``val``, ``test`` or ``""``.
    target_energy : float or None
        Total energy of the label in eV.
    predicted_energy : float or None
        Total energy after relaxation with the model in eV; None where it failed.
    unrelaxed_energy : float or None
        Total energy the model gives the initial structure in eV.
    status : RelaxationStatus
        How the relaxation ended.
    """

    material_id: str
    composition: Mapping[str, float]
    split: str
    target_energy: float | None
    predicted_energy: float | None
    unrelaxed_energy: float | None = None
    status: RelaxationStatus = RelaxationStatus.CONVERGED


class StabilityRow(Record):
    """One material on the hull of the labels and on the hull of a model."""

    material_id: str = Field(description="Name of the material.")
    formula: str = Field(description="Reduced formula.")
    chemical_system: str = Field(description="Elements, sorted, joined by hyphens.")
    split: str = Field(description="Split of the material.")
    status: RelaxationStatus = Field(description="How the model's relaxation ended.")
    target_energy_per_atom: float | None = Field(description="Label in eV/atom.")
    predicted_energy_per_atom: float | None = Field(
        description="Energy relaxed with the model in eV/atom; null where it failed."
    )
    target_decomposition_energy: float | None = Field(
        description="Among the labels, in eV/atom."
    )
    predicted_decomposition_energy: float | None = Field(
        description="Among the model's relaxed energies in eV/atom; failed relaxations "
        "are left out of the hull."
    )
    predicted_decomposition_energy_unrelaxed: float | None = Field(
        description="The same in eV/atom, the unrelaxed energy in place of failed "
        "relaxations."
    )
    target_energy_above_hull: float | None = Field(
        description="Among the labels, in eV/atom."
    )
    predicted_energy_above_hull: float | None = Field(
        description="Among the model's relaxed energies in eV/atom."
    )
    target_formation_energy: float | None = Field(
        description="From the labels' elemental entries, in eV/atom."
    )
    predicted_formation_energy: float | None = Field(
        description="Model energy from the model's own elemental entries in eV/atom."
    )
    predicted_formation_energy_target_references: float | None = Field(
        description="Model energy from the labels' elemental entries in eV/atom."
    )
    target_competing_phases: tuple[CompetingPhase, ...] = Field(
        description="Decomposition products among the labels."
    )
    predicted_competing_phases: tuple[CompetingPhase, ...] = Field(
        description="Decomposition products among the model's energies."
    )
    same_products: bool | None = Field(
        description="Whether both decompose into the same compositions."
    )
    target_stable: bool | None = Field(description="Whether the label is stable.")
    predicted_stable: bool | None = Field(description="Whether the model says stable.")
    error: str | None = Field(None, description="Why an energy is missing.")


class StabilityErrors(Record):
    """Errors over a set of materials; null where no material has both values."""

    n_materials: int = Field(
        ge=0, description="Materials with both decomposition energies."
    )
    n_missing: int = Field(ge=0, description="Materials that lack one of them.")
    decomposition_energy_mae: float | None = Field(
        None, description="Mean absolute error in eV/atom."
    )
    formation_energy_mae: float | None = Field(
        None,
        description="Mean absolute error in eV/atom, each from its own references.",
    )
    formation_energy_mae_target_references: float | None = Field(
        None,
        description="Mean absolute error in eV/atom, both from the labels' references.",
    )
    same_products: float | None = Field(
        None, description="Share of materials that decompose into the same phases."
    )
    true_stable: int = Field(0, ge=0, description="Stable, predicted stable.")
    false_stable: int = Field(0, ge=0, description="Unstable, predicted stable.")
    true_unstable: int = Field(0, ge=0, description="Unstable, predicted unstable.")
    false_unstable: int = Field(0, ge=0, description="Stable, predicted unstable.")
    precision: float | None = Field(
        None, description="Share of the materials predicted stable that are."
    )
    recall: float | None = Field(
        None, description="Share of the stable materials that are predicted stable."
    )
    f1: float | None = Field(
        None, description="Harmonic mean of precision and recall of stable."
    )


class StabilityScore(Record):
    """The hull of a model against the hull of the labels."""

    metrics: dict[str, StabilityErrors] = Field(
        description="Errors by split, and for `all`; failed relaxations left out."
    )
    metrics_with_unrelaxed: dict[str, StabilityErrors] = Field(
        description="The same with the unrelaxed energy in place of failed relaxations."
    )
    n_materials: int = Field(ge=0, description="Materials of the hull.")
    n_failed_relaxations: int = Field(
        ge=0, description="Relaxations that gave no energy."
    )
    statuses: dict[str, int] = Field(
        description="Relaxations, by how they ended; an absent status never occurred."
    )
    rows: list[StabilityRow] = Field(description="Every material, in the order given.")


class StabilityDoc(StabilityScore, TaskDoc):
    """How well one model ranks the phases of all materials."""

    model: str = Field(description="Model of the study, or name of the potential.")
    labels: str = Field(description="Functional and origin of the labels.")
    settings: StabilitySettings = Field(description="Settings the scores ran with.")
