"""Settings, checks and document of the preflight of a study."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.models import ModelChoice, Rereference


class CheckOutcome(StrEnum):
    """Result of a check."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


class Verdict(StrEnum):
    """Recommendation whether to run a study."""

    GO = "go"
    NO_GO = "no-go"


class PreflightSettings(Record):
    """Short trainings and limits of the checks before a study is run."""

    n_train_frames: int = Field(
        1000, ge=1, description="Training frames of each short training."
    )
    n_val_frames: int = Field(
        200, ge=1, description="Validation frames of each short training."
    )
    epochs: int = Field(3, ge=1, description="Epochs of each short training.")
    batch_size: int = Field(16, ge=1, description="Frames per optimiser step.")
    seed: int = Field(0, ge=0, description="Seed of materials and trainings.")
    models: tuple[ModelChoice, ...] = Field(
        (), description="Models to check; by default those of the study."
    )
    min_correlation: float = Field(
        0.8,
        ge=-1,
        le=1,
        description="Minimum Pearson correlation of source and target energies, both "
        "beyond composition and above the references of a model; below it transfer "
        "learning is expected to gain little.",
    )
    max_p_value: float = Field(
        0.01,
        gt=0,
        le=1,
        description="Maximum fraction of permutations of the materials that correlate "
        "as well beyond composition; above it the correlation may be chance.",
    )
    max_gradient_ratio: float = Field(
        10.0,
        gt=0,
        description="Maximum ratio of the gradient norm of the first readout layer to "
        "that of training from scratch; above it atomic references are misaligned.",
    )
    max_residual: float = Field(
        1.0,
        gt=0,
        description="Maximum absolute difference between label and re-referenced "
        "source prediction in eV/atom; above it a frame is out of range.",
    )
    max_force: float = Field(
        30.0, gt=0, description="Force in eV/Å above which a frame is out of range."
    )
    max_lost_fraction: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Fraction of lost frames above which a check fails.",
    )


class Check(Record):
    """One check of a study."""

    name: str = Field(description="Name of the check.")
    model: str | None = Field(
        None, description="Model that it is about; null for the data of all models."
    )
    outcome: CheckOutcome = Field(description="Result of the check.")
    finding: str = Field(description="Result in words and figures.")


class Trial(Record):
    """Result of a short training of one model."""

    model: str = Field(description="Model of the study.")
    energy_mae: float | None = Field(description="Validation error in eV/atom.")
    forces_mae: float | None = Field(description="Validation error in eV/Å.")
    stress_mae: float | None = Field(description="Validation error in GPa.")
    gradient_norms: dict[str, float] = Field(
        description="Median gradient norm in the first epoch, by layer."
    )
    checked_layer: str | None = Field(
        None, description="Layer whose gradients are compared: the first readout layer."
    )
    seconds_per_frame: float = Field(
        ge=0, description="Training time per frame in s, validation included."
    )


class OutOfRangeFrame(Record):
    """Frame whose labels are out of the range of the source potential."""

    frame_id: str = Field(description="Id of the frame.")
    reason: str = Field(description="Expected and actual value.")


class PreflightDoc(TaskDoc):
    """Recommendation whether to run a study, and the checks behind it."""

    settings: PreflightSettings = Field(description="Settings of the preflight.")
    labels: str = Field(description="Functional and origin of the target labels.")
    source: str = Field(description="Source potential.")
    verdict: Verdict = Field(
        description="Go where it is one for a transferred model of the study."
    )
    verdicts: dict[str, Verdict] = Field(
        description="Verdict on each transferred model of the study."
    )
    reason: str = Field(description="Reason of the verdict.")
    checks: list[Check] = Field(description="Every check, in order.")
    n_train_frames: int = Field(ge=0, description="Training frames used.")
    n_val_frames: int = Field(ge=0, description="Validation frames used.")
    correlation: float | None = Field(
        description="Pearson correlation of labels and source energies per atom."
    )
    correlation_beyond_composition: float | None = Field(
        description="Pearson correlation of both after a linear fit on composition to "
        "other materials is subtracted from each; null where undefined."
    )
    null_correlation: float | None = Field(
        description="Correlation that 95 % of the permutations of materials stay below."
    )
    p_value: float | None = Field(
        description="Fraction of permutations that correlate as well."
    )
    correlations_referenced: dict[Rereference, float | None] = Field(
        description="Pearson correlation of both after atomic references are "
        "subtracted, over validation frames, by how the references of the labels were "
        "found.",
    )
    trials: list[Trial] = Field(
        description="Short training from scratch, and of each transferred model."
    )
    elements_without_reference: list[str] = Field(
        description="Elements without a reference in a re-referenced model."
    )
    n_out_of_range_frames: int = Field(ge=0, description="Frames out of range.")
    out_of_range_frames: list[OutOfRangeFrame] = Field(
        description="First of these frames."
    )
    training_times: dict[str, float] = Field(
        description="Estimated time of a full training on this machine in s, by model."
    )
