"""Settings and document of the dataset stage."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from nextrung.schemas.base import Artifact, Record, TaskDoc
from nextrung.schemas.labels.curation import (
    CorrectionScheme,
    CrystalTolerance,
    CurationSettings,
    Label,
    Rule,
)
from nextrung.schemas.labels.identity import FileCounts, IdentitySummary
from nextrung.schemas.labels.sources import DistilledSource, EnergyLabel, Source


class SplitUnit(StrEnum):
    """What is in one split as a whole."""

    MATERIAL = "material"
    CRYSTAL = "crystal"
    FORMULA = "formula"
    CHEMICAL_SYSTEM = "chemical_system"
    PROTOTYPE = "prototype"


class SplitSettings(Record):
    """How materials are split into training, validation and test sets."""

    unit: SplitUnit = Field(
        SplitUnit.CRYSTAL,
        description="What is in one split as a whole: each `material` by its name; "
        "each `crystal`, whatever the names of the materials whose last frames are "
        "that crystal; or all materials of a `formula`, of a `chemical_system`, or of "
        "a `prototype` (anonymous formula and space group).",
    )
    same_crystal: CrystalTolerance = Field(
        default_factory=CrystalTolerance,
        description="When the last frames of two materials are the same crystal.",
    )
    val: float = Field(
        0.1, ge=0, lt=1, description="Validation fraction of the materials."
    )
    test: float = Field(0.1, ge=0, lt=1, description="Test fraction of the materials.")
    seed: int = Field(0, ge=0, description="Random seed of the split.")
    folds: int | None = Field(
        None,
        ge=3,
        le=100,
        description="Number of folds of a cross-validation, in place of `val` and "
        "`test`: `seed // folds` draws them, fold `seed % folds` is the test set, and "
        "the next one the validation set. Null for fractions drawn at random.",
    )
    keep_elements_in_train: bool = Field(
        default=True, description="Whether every element must be in the training split."
    )

    @model_validator(mode="after")
    def _validate_fractions(self) -> SplitSettings:
        """Validate that a training set is left."""
        if self.val + self.test >= 1:
            raise ValueError(f"val {self.val} + test {self.test} leave no training set")
        return self


class DatasetSettings(Record):
    """Origin of the labelled frames, curation rules and split."""

    source: Source = Field(
        default_factory=DistilledSource, description="Origin of the labelled frames."
    )
    curation: CurationSettings = Field(
        default_factory=CurationSettings, description="Rules that frames must satisfy."
    )
    split: SplitSettings = Field(
        default_factory=SplitSettings,
        description="How materials are split into training, validation and test sets.",
    )

    @model_validator(mode="after")
    def _validate_corrections(self) -> DatasetSettings:
        """Validate that energies are not corrected twice."""
        energy = getattr(self.source, "energy", EnergyLabel.UNCORRECTED)
        corrected = energy is EnergyLabel.CORRECTED
        if corrected and self.curation.corrections is not CorrectionScheme.NONE:
            raise ValueError("expected uncorrected energies to correct, got corrected")
        return self


class DatasetCounts(Record):
    """Numbers of kept frames and materials."""

    n_seen: int = Field(
        ge=0, description="Frames read, and files or documents that gave none."
    )
    n_materials: int = Field(ge=0, description="Materials kept.")
    n_frames: int = Field(ge=0, description="Frames kept.")
    n_frames_before_deduplication: int = Field(
        ge=0, description="Frames that pass every rule but that on duplicates."
    )
    n_materials_by_split: dict[str, int] = Field(description="Materials, by split.")
    n_frames_by_split: dict[str, int] = Field(description="Frames, by split.")
    n_frames_by_label: dict[Label, int] = Field(
        default_factory=dict,
        description="Frames that have the label, by label; empty where not counted.",
    )
    element_counts: dict[str, int] = Field(
        description="Frames that contain the element, by symbol."
    )
    files: FileCounts | None = Field(
        None, description="Files of folders of VASP runs; null for other sources."
    )
    identity: IdentitySummary = Field(
        default_factory=IdentitySummary,
        description="How the accepted runs were calculated, where the source says.",
    )


class DatasetDoc(DatasetCounts, TaskDoc):
    """Output of :class:`~nextrung.makers.dataset.DatasetMaker`."""

    settings: DatasetSettings | None = Field(
        description="Settings of the stage; null where frames were given whole."
    )
    labels: str = Field(description="Functional and origin of the labels.")
    functional: str = Field(description="Functional of the labels.")
    n_rejected: dict[Rule, int] = Field(
        description="Rejected frames or files, by rule."
    )
    n_skipped: dict[Rule, int] = Field(
        default_factory=dict,
        description="Frames a rule was not applied to, by rule, because the source "
        "lacks the data that the rule needs, or their code is not that of the rule.",
    )
    frames: Artifact = Field(description="Kept frames, Parquet.")
    rejections: Artifact = Field(description="Rejected frames, Parquet.")
    materials: Artifact = Field(
        description="Initial structure and target energy per material, Parquet."
    )
