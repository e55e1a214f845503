"""Settings of a whole study, and its results in one object."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from nextrung.schemas.alignment import AlignmentSettings
from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.dataset import DatasetSettings
from nextrung.schemas.density import DensitySettings
from nextrung.schemas.evaluation import EvaluationSettings, PropertyErrors
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.labels.curation import Rejection
from nextrung.schemas.models import Model
from nextrung.schemas.preflight import PreflightSettings
from nextrung.schemas.relaxation import RelaxationSettings
from nextrung.schemas.scaling_law import PropertyScaling, ScalingLawSettings
from nextrung.schemas.stability import StabilitySettings


class StudyRelaxationSettings(RelaxationSettings):
    """How the materials of a study are relaxed by every model."""

    materials_per_shard: int = Field(
        1000, ge=1, description="Materials one job relaxes, about."
    )

    @property
    def of_each(self) -> RelaxationSettings:
        """How each structure is relaxed, whatever job it is in."""
        shared = self.model_dump(exclude={"materials_per_shard"})
        return RelaxationSettings.model_validate(shared)


class StudySettings(Record):
    """A whole study; a stage that is null is left out."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name of the study: letters, digits, dots, dashes, underscores.",
    )
    description: str = Field("", description="What the study asks, for readers.")
    source: str = Field(
        "chgnet-0.3.0", description="Source potential: a name or a checkpoint file."
    )
    dataset: DatasetSettings = Field(
        default_factory=DatasetSettings, description="Target labels."
    )
    models: tuple[Model, ...] = Field(
        tuple(Model), min_length=1, description="Models to make and compare."
    )
    training: FineTuningSettings = Field(
        default_factory=FineTuningSettings, description="How networks are trained."
    )
    preflight: PreflightSettings = Field(
        default_factory=PreflightSettings, description="How the study is tried out."
    )
    evaluation: EvaluationSettings = Field(
        default_factory=EvaluationSettings, description="Which frames are scored."
    )
    alignment: AlignmentSettings | None = Field(
        default_factory=AlignmentSettings, description="How functionals are compared."
    )
    relaxation: StudyRelaxationSettings | None = Field(
        default_factory=StudyRelaxationSettings,
        description="Relaxation of all materials.",
    )
    stability: StabilitySettings | None = Field(
        default_factory=StabilitySettings, description="How hulls are scored."
    )
    density: DensitySettings | None = Field(
        default_factory=DensitySettings, description="Densities against experiment."
    )
    scaling_law: ScalingLawSettings | None = Field(
        default_factory=ScalingLawSettings, description="Errors against data size."
    )

    @model_validator(mode="after")
    def _relax_what_is_scored(self) -> Self:
        """Refuse hulls without relaxed energies, and a model asked for twice."""
        if self.stability and not self.relaxation:
            raise ValueError("stability needs relaxation: expected both or neither")
        if len(set(self.models)) != len(self.models):
            raise ValueError("models: expected each model once")
        return self


class DatasetSummary(Record):
    """What was kept of the data, and what was not."""

    n_materials: int = Field(ge=0, description="Materials kept.")
    n_frames: int = Field(ge=0, description="Frames kept.")
    n_frames_before_deduplication: int = Field(
        ge=0, description="Frames that broke no rule but the one on duplicates."
    )
    n_rejected: dict[str, int] = Field(description="Frames or files, by rule.")
    n_materials_by_split: dict[str, int] = Field(description="Materials, by split.")
    n_frames_by_split: dict[str, int] = Field(description="Frames, by split.")
    element_counts: dict[str, int] = Field(
        description="Frames that hold the element, by symbol."
    )
    rejections: list[Rejection] = Field(
        description="The first rejections that are no duplicates; the artifact of the "
        "data set lists all."
    )


class StabilitySummary(Record):
    """Errors of the hull of one model."""

    competitors: str = Field(description="Entries an entry competes with.")
    decomposition_energy_mae: float | None = Field(
        description="Test materials, in eV/atom."
    )
    decomposition_energy_mae_all: float | None = Field(
        description="All materials, in eV/atom."
    )
    formation_energy_mae: float | None = Field(
        description="All materials, each from its own references, in eV/atom."
    )
    formation_energy_mae_test: float | None = Field(
        description="Test materials, each from its own references, in eV/atom."
    )
    formation_energy_mae_target_references: float | None = Field(
        description="All materials, both from the labels' references, in eV/atom."
    )
    f1: float | None = Field(description="Of `stable`, all materials.")
    n_materials: int = Field(ge=0, description="Materials relaxed.")
    n_failed_relaxations: int = Field(ge=0, description="Relaxations without energy.")
    statuses: dict[str, int] = Field(description="Relaxations by how they ended.")


class DensitySummary(Record):
    """Errors of the densities of one model."""

    mae: float | None = Field(description="Mean absolute error in g/cm³.")
    mean_ratio: float | None = Field(description="Measured over predicted density.")
    n_crystals: int = Field(ge=0, description="Crystals relaxed.")
    n_failed: int = Field(ge=0, description="Crystals whose relaxation did not end.")


class ModelSummary(Record):
    """Everything one model was scored on; null where a stage was left out."""

    metrics: dict[str, PropertyErrors] = Field(description="Errors, by split.")
    stability: StabilitySummary | None = Field(description="Errors of the hull.")
    density: DensitySummary | None = Field(description="Errors of densities.")
    best_epoch: int | None = Field(description="Epoch of the weights.")
    n_train_frames: int = Field(ge=0, description="Training frames used.")
    checkpoint: str = Field(description="Path below the artifacts folder.")
    checkpoint_sha256: str = Field(description="Hash of the checkpoint.")


class AlignmentSummary(Record):
    """How alike source and target energies are."""

    correlation: float | None = Field(description="Of total energies per atom.")
    correlation_referenced: float | None = Field(
        description="After each one's references are subtracted."
    )
    correlation_residual: float | None = Field(
        None,
        description="The same with target references shifted by what labels and "
        "predictions differ by; null where source energies are calculated.",
    )
    source_energies: str = Field(description="`calculated` or `predicted`.")
    n_frames: int = Field(ge=0, description="Frames compared.")


class StudyResults(Record):
    """All results of a study; energies in eV/atom, forces eV/Å, stress GPa, μ_B."""

    study: str = Field(description="Name of the study.")
    labels: str = Field(description="Functional and origin of the labels.")
    source: str = Field(description="Source potential.")
    dataset: DatasetSummary = Field(description="What was kept of the data.")
    models: dict[str, ModelSummary] = Field(description="Scores, by model.")
    alignment: AlignmentSummary | None = Field(
        description="Source against target energies; null where left out."
    )
    scaling_law: dict[str, PropertyScaling] | None = Field(
        description="Fits by property; null where left out."
    )
    jobs: dict[str, str] = Field(
        description="Job uuid of each document, by stage or by stage/model."
    )


class StudyDoc(TaskDoc):
    """Output of the last job of a study: where everything is."""

    settings: StudySettings = Field(description="Settings of the whole study.")
    results: StudyResults = Field(description="All results in one object.")
