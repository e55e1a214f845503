"""Settings and document of the dataset stage."""

from __future__ import annotations

from pydantic import Field, model_validator

from nextrung.schemas.base import Artifact, Record, TaskDoc
from nextrung.schemas.labels.curation import CorrectionScheme, CurationSettings, Rule
from nextrung.schemas.labels.sources import DistilledSource, EnergyLabel, Source


class SplitSettings(Record):
    """How materials are shared out among training, validation and test."""

    val: float = Field(0.1, ge=0, lt=1, description="Share of validation materials.")
    test: float = Field(0.1, ge=0, lt=1, description="Share of test materials.")
    seed: int = Field(0, ge=0, description="Seed of the shuffle.")
    keep_elements_in_train: bool = Field(
        default=True, description="Whether training must know every element."
    )

    @model_validator(mode="after")
    def _leave_something_to_train(self) -> SplitSettings:
        """Refuse shares that leave nothing to train on."""
        if self.val + self.test >= 1:
            raise ValueError(f"val {self.val} + test {self.test} leave no training set")
        return self


class DatasetSettings(Record):
    """Where frames come from, which are kept, and how they are split."""

    source: Source = Field(
        default_factory=DistilledSource, description="Where frames come from."
    )
    curation: CurationSettings = Field(
        default_factory=CurationSettings, description="Which frames are kept."
    )
    split: SplitSettings = Field(
        default_factory=SplitSettings, description="How materials are shared out."
    )

    @model_validator(mode="after")
    def _correct_once(self) -> DatasetSettings:
        """Refuse to correct what is corrected."""
        energy = getattr(self.source, "energy", EnergyLabel.UNCORRECTED)
        corrected = energy is EnergyLabel.CORRECTED
        if corrected and self.curation.corrections is not CorrectionScheme.NONE:
            raise ValueError("expected uncorrected energies to correct, got corrected")
        return self


class DatasetDoc(TaskDoc):
    """Output of :class:`~nextrung.makers.dataset.DatasetMaker`."""

    settings: DatasetSettings = Field(description="Settings the stage ran with.")
    labels: str = Field(description="Where the labels come from, for readers.")
    functional: str = Field(description="Functional of the labels.")
    n_materials: int = Field(ge=0, description="Materials kept.")
    n_frames: int = Field(ge=0, description="Frames kept.")
    n_frames_before_deduplication: int = Field(
        ge=0, description="Frames that broke no rule but the one on duplicates."
    )
    n_rejected: dict[Rule, int] = Field(
        description="Frames or unreadable files left out, by rule."
    )
    n_skipped: dict[Rule, int] = Field(
        default_factory=dict,
        description="Frames that could not be judged by a rule, because the source "
        "lacks what it asks about.",
    )
    n_materials_by_split: dict[str, int] = Field(description="Materials, by split.")
    n_frames_by_split: dict[str, int] = Field(description="Frames, by split.")
    element_counts: dict[str, int] = Field(
        description="Frames that hold the element, by symbol."
    )
    frames: Artifact = Field(description="The kept frames, Parquet.")
    rejections: Artifact = Field(description="Every rejected frame, Parquet.")
    materials: Artifact = Field(
        description="Initial structure and target energy per material, Parquet."
    )
