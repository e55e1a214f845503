"""Settings, checks and document of the preflight of a study."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.fine_tuning import TrackedLayer
from nextrung.schemas.models import Model, Rereference


class CheckOutcome(StrEnum):
    """What a check says about a study."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


class Verdict(StrEnum):
    """Whether a study is worth its computing time."""

    GO = "go"
    NO_GO = "no-go"


class PreflightSettings(Record):
    """How a study is tried out before it is run."""

    n_train_frames: int = Field(
        1000, ge=1, description="Training frames to try with, material by material."
    )
    n_val_frames: int = Field(
        200, ge=1, description="Validation frames to try with, material by material."
    )
    epochs: int = Field(3, ge=1, description="Passes over these training frames.")
    batch_size: int = Field(16, ge=1, description="Frames per optimiser step.")
    seed: int = Field(0, ge=0, description="Seed of the choice of materials.")
    min_correlation: float = Field(
        0.8,
        ge=-1,
        le=1,
        description="Correlation of re-referenced energies below which transfer has "
        "little to build on.",
    )
    max_gradient_ratio: float = Field(
        10.0,
        gt=0,
        description="Gradient of the first readout layer over that of a start from "
        "scratch, above which references are misaligned.",
    )
    max_residual: float = Field(
        1.0,
        gt=0,
        description="Difference of label and re-referenced source energy in eV/atom "
        "above which a frame is out of range.",
    )
    max_force: float = Field(
        30.0, gt=0, description="Force in eV/Å above which a frame is out of range."
    )
    max_lost_fraction: float = Field(
        0.05, ge=0, le=1, description="Share of frames that a study may lose."
    )


class Check(Record):
    """One question about a study, and its answer."""

    name: str = Field(description="What was asked.")
    outcome: CheckOutcome = Field(description="What the answer says about the study.")
    finding: str = Field(description="The answer in words and figures.")


class Trial(Record):
    """What a short training of one model came to."""

    model: Model = Field(description="Model of the study.")
    energy_mae: float | None = Field(description="Of validation frames in eV/atom.")
    forces_mae: float | None = Field(description="Of validation frames in eV/Å.")
    stress_mae: float | None = Field(description="Of validation frames in GPa.")
    gradient_norms: dict[TrackedLayer, float] = Field(
        description="Median norm of the gradient in the first epoch, by layer."
    )
    seconds_per_frame: float = Field(
        ge=0,
        description="Time of a training step per frame, validation included, in s.",
    )


class OutOfRangeFrame(Record):
    """A frame that the source potential or the graph has no room for."""

    frame_id: str = Field(description="Name of the frame.")
    reason: str = Field(description="What was expected and what was got.")


class PreflightDoc(TaskDoc):
    """Whether a study is worth its computing time, and why."""

    settings: PreflightSettings = Field(description="How the study was tried out.")
    labels: str = Field(description="Functional and origin of the target labels.")
    source: str = Field(description="Source potential.")
    verdict: Verdict = Field(description="Go or no-go.")
    reason: str = Field(description="Why, in a sentence.")
    checks: list[Check] = Field(description="Every check, in order.")
    n_train_frames: int = Field(ge=0, description="Training frames of the trials.")
    n_val_frames: int = Field(ge=0, description="Validation frames of the trials.")
    correlation: float | None = Field(
        description="Pearson correlation of labels and source energies per atom."
    )
    correlations_referenced: dict[Rereference, float | None] = Field(
        description="The same after each one's references are subtracted, by the way "
        "in which those of the labels were found."
    )
    trials: list[Trial] = Field(description="A short training of every model.")
    elements_without_reference: list[str] = Field(
        description="Elements of the data set that a moved model has no reference of."
    )
    n_out_of_range_frames: int = Field(ge=0, description="Frames out of range.")
    out_of_range_frames: list[OutOfRangeFrame] = Field(description="The first of them.")
    training_times: dict[Model, float] = Field(
        description="What training each model in full would take on this machine, in s."
    )
