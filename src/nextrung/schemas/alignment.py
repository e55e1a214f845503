"""Settings, scores and documents of the alignment of two functionals."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.labels.curation import Rule
from nextrung.schemas.labels.sources import Source


class SourceEnergies(StrEnum):
    """Origin of the energies of the source functional."""

    CALCULATED = "calculated"
    PREDICTED = "predicted"


class Pairing(StrEnum):
    """Which energies of the two functionals are compared with each other."""

    FRAMES = "frames"
    MATERIALS = "materials"


class AlignmentCorrections(StrEnum):
    """Which side has GGA/GGA+U energies, and whether MP2020 corrections are in."""

    NONE = "none"
    IN_SOURCE = "in_source"
    IN_TARGET = "in_target"
    MISSING_IN_SOURCE = "missing_in_source"
    MISSING_IN_TARGET = "missing_in_target"


class SourceCounts(Record):
    """Labels of the source functional that were read and used."""

    n_frames: int = Field(ge=0, description="Frames read.")
    n_paired: int = Field(ge=0, description="Target frames with a partner among them.")
    n_rejected: dict[Rule, int] = Field(
        description="Files or documents that could not be read, by rule."
    )


class AlignmentSettings(Record):
    """Which energies are compared, and how differences are attributed to elements."""

    source: Source | None = Field(
        None,
        description="Labels calculated with the source functional; null to use the "
        "predictions of the study's source potential in their place.",
    )
    pairing: Pairing = Field(
        Pairing.FRAMES,
        description="`frames` compares frames of the same frame id; `materials` the "
        "lowest-energy frames of the same material and reduced formula.",
    )
    source_references: str | None = Field(
        None,
        description="Potential whose atomic reference energies are subtracted from "
        "source energies. Null: those of the source potential where its predictions "
        "are used, otherwise a fit to the source energies.",
    )
    target_references: str | None = Field(
        None,
        description="Potential whose atomic reference energies are subtracted from "
        "target energies; null for a fit to the training split.",
    )
    corrections: AlignmentCorrections | None = Field(
        None,
        description="Whether the source or the target has GGA/GGA+U energies, and "
        "whether the MP2020 corrections of the Materials Project are included in them "
        "(`in_…`) or not (`missing_in_…`). Null: by the functional of the potential "
        "that predicts source energies, `in_source` where that is GGA/GGA+U with the "
        "corrections, as of chgnet-0.3.0, `missing_in_source` where it is GGA/GGA+U "
        "without; otherwise `none`.",
    )
    max_depth: int | None = Field(
        None, ge=1, description="Maximum depth of the decision tree; null for no limit."
    )
    seed: int = Field(0, ge=0, description="Random seed of the decision tree.")
    importance_scale: float | None = Field(
        None,
        gt=0,
        description="Factor applied to feature importance per atom (9000 in Huang et "
        "al.); null scales the largest value to 1.",
    )
    importance_scale_uncorrected: float | None = Field(
        None,
        gt=0,
        description="Factor applied to feature importance per atom of energies without "
        "corrections (500 in Huang et al.); null scales the largest value to 1.",
    )


class ElementAlignment(Record):
    """Contribution of one element to the difference between two functionals."""

    n_atoms: int = Field(ge=0, description="Atoms of the element in the data set.")
    shift: float | None = Field(description="Target minus source reference in eV.")
    importance: float = Field(
        ge=0,
        description="Decision-tree feature importance of the element for differences "
        "of formation energies, corrections included where there are any.",
    )
    normalised_importance: float = Field(
        ge=0, description="Importance divided by the atom count and scaled."
    )
    importance_uncorrected: float | None = Field(
        None, ge=0, description="Importance without corrections; null where none apply."
    )
    normalised_importance_uncorrected: float | None = Field(
        None, ge=0, description="Uncorrected importance per atom, scaled."
    )


class AlignmentPoints(Record):
    """Energies of the compared frames, as columns of equal length."""

    frame_id: list[str] = Field(description="Id of the frame.")
    material_id: list[str] = Field(description="Material of the frame.")
    formula: list[str] = Field(description="Reduced formula.")
    source: list[float] = Field(description="Source energy in eV/atom.")
    target: list[float] = Field(description="Target energy in eV/atom.")
    source_referenced: list[float] = Field(
        description="Source energy minus source references in eV/atom."
    )
    target_referenced: list[float] = Field(
        description="Target energy minus target references in eV/atom."
    )


class AlignmentCorrelations(Record):
    """Correlations of source and target energies per atom."""

    correlation: float | None = Field(description="Pearson correlation of energies.")
    correlation_referenced: float | None = Field(
        description="Pearson correlation of energies per atom after each functional's "
        "atomic references are subtracted.",
    )
    n_frames: int = Field(ge=0, description="Frames that have both energies.")


class AlignmentScore(AlignmentCorrelations):
    """Agreement of two functionals before and after re-referencing."""

    n_left_out: int = Field(ge=0, description="Frames that lack one of the energies.")
    left_out: dict[str, int] = Field(description="Frames left out, by reason.")
    mean_absolute_difference: float | None = Field(
        description="Mean absolute difference of energies in eV/atom."
    )
    mean_absolute_difference_referenced: float | None = Field(
        description="Mean absolute difference in eV/atom after each functional's "
        "atomic references are subtracted.",
    )
    corrections: AlignmentCorrections = Field(
        AlignmentCorrections.NONE,
        description="Which side has GGA/GGA+U energies, and whether MP2020 corrections "
        "are included.",
    )
    elements_without_phase: list[str] = Field(
        default_factory=list,
        description="Elements without a pure phase among the compared frames; their "
        "atomic references are used in formation energies.",
    )
    elements: dict[str, ElementAlignment] = Field(
        description="Contribution of each element, by symbol."
    )
    rows: AlignmentPoints = Field(description="Energies of the compared frames.")


class AlignmentDoc(AlignmentScore, TaskDoc):
    """Alignment of the source and the target functional of a study."""

    labels: str = Field(description="Functional and origin of the target labels.")
    source: str = Field(description="Functional or potential of the source energies.")
    source_energies: SourceEnergies = Field(
        description="Whether source energies were calculated or predicted."
    )
    source_counts: SourceCounts | None = Field(
        None, description="Labels of the source functional; null where predicted."
    )
    references: str = Field(
        "fitted", description="Origin of the atomic references that are subtracted."
    )
    correlation_residual: float | None = Field(
        None,
        description="Pearson correlation with target references that are the source's "
        "plus a fit to labels minus predictions; null where source energies are "
        "calculated.",
    )
    settings: AlignmentSettings = Field(description="Settings of the stage.")
