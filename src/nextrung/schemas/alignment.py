"""Settings, scores and documents of the alignment of two functionals."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.labels.sources import Source


class SourceEnergies(StrEnum):
    """Where the energies of the source functional come from."""

    CALCULATED = "calculated"
    PREDICTED = "predicted"


class Pairing(StrEnum):
    """Which energies of the two functionals belong together."""

    FRAMES = "frames"
    MATERIALS = "materials"


class AlignmentCorrections(StrEnum):
    """Where GGA/GGA+U energies are, and whether MP2020's corrections are in them."""

    NONE = "none"
    IN_SOURCE = "in_source"
    IN_TARGET = "in_target"
    MISSING_IN_SOURCE = "missing_in_source"
    MISSING_IN_TARGET = "missing_in_target"


class AlignmentSettings(Record):
    """Which energies are compared, and how elements explain their differences."""

    source: Source | None = Field(
        None,
        description="Labels of the source functional; null lets the predictions of the "
        "source potential stand in.",
    )
    pairing: Pairing = Field(
        Pairing.FRAMES,
        description="Whether frames of one name are compared, or the lowest frames of "
        "each material and composition.",
    )
    source_references: str | None = Field(
        None,
        description="Potential whose atomic references are subtracted from source "
        "energies; null for the source potential's where it stands in, and for those "
        "fitted to the energies otherwise.",
    )
    target_references: str | None = Field(
        None,
        description="Potential whose atomic references are subtracted from target "
        "energies; null for those fitted to the training split.",
    )
    corrections: AlignmentCorrections | None = Field(
        None,
        description="Which energies are GGA/GGA+U and whether they hold the "
        "corrections of the Materials Project; null for `in_source` where chgnet-0.3.0 "
        "stands in, which was trained on corrected energies, and `none` elsewhere.",
    )
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
    importance_scale_uncorrected: float | None = Field(
        None,
        gt=0,
        description="The same for energies without corrections (the paper: 500).",
    )


class ElementAlignment(Record):
    """What one element contributes to the difference of the functionals."""

    n_atoms: int = Field(ge=0, description="Atoms of the element in the data set.")
    shift: float | None = Field(
        description="Target minus source atomic reference energy in eV."
    )
    importance: float = Field(
        ge=0,
        description="Share of the variance of formation energy differences that the "
        "decision tree explains with it; with corrections, where there are any.",
    )
    normalised_importance: float = Field(
        ge=0, description="Importance over atom count, scaled."
    )
    importance_uncorrected: float | None = Field(
        None, ge=0, description="Importance without corrections; null without any."
    )
    normalised_importance_uncorrected: float | None = Field(
        None, ge=0, description="The same over atom count, scaled."
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
    corrections: AlignmentCorrections = Field(
        AlignmentCorrections.NONE,
        description="Where MP2020's corrections are, or are missing.",
    )
    elements_without_phase: list[str] = Field(
        default_factory=list,
        description="Elements that no compared frame is a pure phase of: formation "
        "energies take their atomic references instead.",
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
    references: str = Field(
        "fitted", description="Where the subtracted atomic references come from."
    )
    correlation_residual: float | None = Field(
        None,
        description="Pearson correlation where the target references are those of the "
        "source, shifted by what labels and predictions differ by; null where source "
        "energies are calculated.",
    )
    settings: AlignmentSettings = Field(description="Settings the scores ran with.")
