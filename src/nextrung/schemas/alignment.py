"""Settings, scores and documents of the alignment of two functionals."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc


class SourceEnergies(StrEnum):
    """Where the energies of the source functional come from."""

    CALCULATED = "calculated"
    PREDICTED = "predicted"


class AlignmentSettings(Record):
    """How the differences between two functionals are explained by elements."""

    max_depth: int | None = Field(
        None, ge=1, description="Depth of the decision tree; null for no limit."
    )
    seed: int = Field(0, ge=0, description="Seed of the decision tree.")
    importance_scale: float | None = Field(
        None,
        gt=0,
        description="Factor on importance over atom count (the paper: 9000); null "
        "scales the largest to 1.",
    )


class ElementAlignment(Record):
    """What one element contributes to the difference of the functionals."""

    n_atoms: int = Field(ge=0, description="Atoms of the element in the data set.")
    shift: float | None = Field(
        description="Target minus source atomic reference energy in eV."
    )
    importance: float = Field(
        ge=0, description="Share of the variance the decision tree explains with it."
    )
    normalised_importance: float = Field(
        ge=0, description="Importance over atom count, scaled."
    )


class AlignmentPoints(Record):
    """Energies of the compared frames, as columns of equal length."""

    frame_id: list[str] = Field(description="Name of the frame.")
    material_id: list[str] = Field(description="Material of the frame.")
    formula: list[str] = Field(description="Reduced formula.")
    source: list[float] = Field(description="Source energy in eV/atom.")
    target: list[float] = Field(description="Target energy in eV/atom.")
    source_referenced: list[float] = Field(
        description="Source energy less the source's references in eV/atom."
    )
    target_referenced: list[float] = Field(
        description="Target energy less the target's references in eV/atom."
    )


class AlignmentScore(Record):
    """How alike two functionals are before and after re-referencing."""

    n_frames: int = Field(ge=0, description="Frames with both energies.")
    n_left_out: int = Field(ge=0, description="Frames that lack one of them.")
    left_out: dict[str, int] = Field(description="Frames left out, by reason.")
    correlation: float | None = Field(
        description="Pearson correlation of total energies per atom."
    )
    correlation_referenced: float | None = Field(
        description="Pearson correlation after each one's references are subtracted."
    )
    mean_absolute_difference: float | None = Field(
        description="Mean absolute difference of energies in eV/atom."
    )
    mean_absolute_difference_referenced: float | None = Field(
        description="The same after each one's references are subtracted, in eV/atom."
    )
    elements: dict[str, ElementAlignment] = Field(description="By element symbol.")
    rows: AlignmentPoints = Field(description="The compared frames.")


class AlignmentDoc(AlignmentScore, TaskDoc):
    """How alike the source and the target functional of a study are."""

    labels: str = Field(description="Functional and origin of the target labels.")
    source: str = Field(description="Functional, or potential, of the source energies.")
    source_energies: SourceEnergies = Field(
        description="Whether they were calculated, or the source potential stands in."
    )
    settings: AlignmentSettings = Field(description="Settings the scores ran with.")
