"""Settings, results and documents of fine-tuning."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from nextrung.schemas.base import Artifact, Record, TaskDoc
from nextrung.schemas.models import MODEL_NAME, Recipe


class Precision(StrEnum):
    """Floating-point precision of a training step."""

    FLOAT32 = "float32"
    TENSOR_FLOAT32 = "tensor_float32"
    FLOAT64 = "float64"


class LossWeights(Record):
    """Weight of each property in the loss; 0 leaves a property out."""

    energy: float = Field(3.0, ge=0, description="Weight of energy, eV/atom; 0: none.")
    forces: float = Field(1.0, ge=0, description="Weight of forces, eV/Å; 0: none.")
    stress: float = Field(0.1, ge=0, description="Weight of stress, GPa; 0: none.")
    magmoms: float = Field(1.0, ge=0, description="Weight of moments, μ_B; 0: none.")

    @model_validator(mode="after")
    def _validate_weights(self) -> Self:
        """Validate that the loss is not always zero."""
        if not (self.energy or self.forces or self.stress or self.magmoms):
            raise ValueError("at least one loss weight must be above 0")
        return self


class FineTuningSettings(Record):
    """How a network is trained; the defaults are those of Huang et al. (2025)."""

    epochs: int = Field(
        50, ge=0, le=1_000_000, description="Number of training epochs."
    )
    batch_size: int = Field(
        64, ge=1, le=1_000_000, description="Frames per optimiser step."
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="Learning rate of the first step."
    )
    final_learning_rate: float = Field(
        1e-5,
        gt=0,
        description="Learning rate of the last step, reached along a cosine.",
    )
    huber_delta: float = Field(
        0.1, gt=0, description="Error above which the Huber loss is linear, any unit."
    )
    loss_weights: LossWeights = Field(
        default_factory=LossWeights, description="Weight of each property in the loss."
    )
    seed: int = Field(0, ge=0, description="Seed of weights, subset and shuffling.")
    n_train_frames: int | None = Field(
        None,
        ge=1,
        description="Number of training frames, chosen by whole materials in seeded "
        "random order, so that a smaller subset is part of a larger one; null for all.",
    )
    gradient_points: int = Field(
        10, ge=0, description="Gradient records per layer in the first epoch; 0: none."
    )
    precision: Precision = Field(
        Precision.FLOAT32,
        description="Floating-point precision of training steps; `tensor_float32` is "
        "faster on NVIDIA GPUs and less precise.",
    )

    @model_validator(mode="after")
    def _validate_learning_rates(self) -> Self:
        """Validate that the learning rate does not increase."""
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate {self.final_learning_rate} is above "
                f"learning_rate {self.learning_rate}"
            )
        return self


class Errors(Record):
    """Loss and mean absolute errors of a split; null where there are no labels."""

    energy_mae: float | None = Field(description="Energy, over frames, in eV/atom.")
    forces_mae: float | None = Field(description="Forces, over components, in eV/Å.")
    stress_mae: float | None = Field(description="Stress, over 9 components, in GPa.")
    magmoms_mae: float | None = Field(description="Moments, over sites, in μ_B.")
    loss: float = Field(description="Weighted loss, mean over batches.")


class EpochRecord(Record):
    """Errors after one epoch of training."""

    epoch: int = Field(ge=1, description="Epochs done so far.")
    learning_rate: float = Field(ge=0, description="Rate of its last step.")
    train: Errors = Field(description="Mean errors of the training batches.")
    val: Errors = Field(description="Validation errors after the epoch.")
    wall_time: float = Field(ge=0, description="Duration of the epoch in s.")


class GradientRecord(Record):
    """Distribution of the loss gradient over the weights of one layer at one step."""

    step: int = Field(ge=0, description="Optimiser steps done before.")
    fraction_of_epoch: float = Field(ge=0, le=1, description="Fraction of the epoch.")
    layer: str = Field(description="Name of the layer.")
    minimum: float = Field(description="Smallest component.")
    p5: float = Field(description="5th percentile of the components.")
    p25: float = Field(description="25th percentile of the components.")
    median: float = Field(description="Median of the components.")
    p75: float = Field(description="75th percentile of the components.")
    p95: float = Field(description="95th percentile of the components.")
    maximum: float = Field(description="Largest component.")
    mean_abs: float = Field(ge=0, description="Mean absolute component.")
    norm: float = Field(ge=0, description="Euclidean norm.")


class UnusableFrame(Record):
    """A frame without a valid graph or without atomic reference energies."""

    frame_id: str = Field(description="Id of the frame.")
    reason: str = Field(description="Why it was left out.")


class FineTuningDoc(TaskDoc):
    """A trained or re-referenced model, and its training history."""

    model: str = Field(
        pattern=MODEL_NAME,
        description="Model of the study, or name of a finished potential.",
    )
    recipe: Recipe = Field(description="How it is made from `source`.")
    settings: FineTuningSettings | None = Field(
        None, description="Training settings; null without training."
    )
    source: str = Field(
        description="Name of the source potential; of a finished potential, its own."
    )
    family: str = Field(
        "chgnet", description="Family of its architecture, see `nextrung models`."
    )
    functional: str = Field(
        description="Functional of the predicted energies: that of the labels; for the "
        "model `source` and for finished potentials, their own.",
    )
    checkpoint: Artifact = Field(
        description="Checkpoint in the format of the architecture."
    )
    elements: list[str] = Field(description="Elements with a reference energy.")
    n_train_frames: int = Field(0, ge=0, description="Training frames used.")
    n_train_materials: int = Field(0, ge=0, description="Materials of these frames.")
    best_epoch: int | None = Field(
        None,
        description="Epoch of the checkpoint: that of the lowest validation energy "
        "error; null without training.",
    )
    history: list[EpochRecord] = Field(
        default_factory=list, description="One record per epoch."
    )
    gradients: list[GradientRecord] = Field(
        default_factory=list, description="Gradients recorded in the first epoch."
    )
    unusable_frames: list[UnusableFrame] = Field(
        default_factory=list, description="Frames left out of training and validation."
    )
    n_replayed: int = Field(
        0,
        ge=0,
        description="Structures with predictions of `source` that were trained on "
        "beside the labels: decorated prototypes of its elements, drawn by the seed.",
    )
    n_source_labelled: int = Field(
        0,
        ge=0,
        description="Training frames whose forces and stresses were predictions of "
        "`source`, which count in the loss and in no error.",
    )
    n_damaged: int = Field(
        0, ge=0, description="Damaged checkpoints that were found and not used."
    )

    @property
    def n_unusable_frames(self) -> int:
        """Number of frames left out."""
        return len(self.unusable_frames)
