"""Settings, results and documents of fine-tuning."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from nextrung.schemas.base import Artifact, Record, TaskDoc
from nextrung.schemas.models import Model, Recipe


class Precision(StrEnum):
    """Arithmetic of a training step."""

    FLOAT32 = "float32"
    TENSOR_FLOAT32 = "tensor_float32"
    FLOAT64 = "float64"


class TrackedLayer(StrEnum):
    """Layers of the network whose gradients are followed."""

    ATOM_EMBEDDING = "AtomEmb"
    BOND_EMBEDDING = "BondEmb"
    ANGLE_EMBEDDING = "AngleEmb"
    ATOM_CONV_FIRST = "AtomConv0_W0"
    ATOM_CONV_LAST = "AtomConv3_W3"
    BOND_CONV_FIRST = "BondConv0_W0"
    BOND_CONV_LAST = "BondConv2_W3"
    READOUT_FIRST = "MLP_Layer0"


class LossWeights(Record):
    """Weight of each property in the loss."""

    energy: float = Field(3.0, ge=0, description="Weight of energies in eV/atom.")
    forces: float = Field(1.0, ge=0, description="Weight of forces in eV/Å.")
    stress: float = Field(0.1, ge=0, description="Weight of stresses in GPa.")
    magmoms: float = Field(1.0, ge=0, description="Weight of moments in μ_B.")

    @model_validator(mode="after")
    def _weigh_something(self) -> Self:
        """Refuse a loss that is always zero."""
        if not (self.energy or self.forces or self.stress or self.magmoms):
            raise ValueError("at least one loss weight must be above 0")
        return self


class FineTuningSettings(Record):
    """How a network is trained; the defaults are those of the paper."""

    epochs: int = Field(50, ge=0, description="Passes over the training frames.")
    batch_size: int = Field(64, ge=1, description="Frames per optimiser step.")
    learning_rate: float = Field(1e-3, gt=0, description="Rate of the first step.")
    final_learning_rate: float = Field(
        1e-5, gt=0, description="Rate of the last step, reached along a cosine."
    )
    huber_delta: float = Field(
        0.1, gt=0, description="Error from which the loss grows linearly, any unit."
    )
    loss_weights: LossWeights = Field(
        default_factory=LossWeights, description="Weight of each property in the loss."
    )
    seed: int = Field(0, ge=0, description="Seed of weights, subset and shuffling.")
    n_train_frames: int | None = Field(
        None,
        ge=1,
        description="Training frames to use, material by material in seeded order, so "
        "that smaller sets are part of larger ones; null for all.",
    )
    shuffle_window: int = Field(
        8,
        ge=1,
        description="Batches that share their frames so that each has about as many "
        "atoms; 1 leaves the shuffled order as it is.",
    )
    gradient_points: int = Field(
        10, ge=0, description="Gradient records per layer in the first epoch."
    )
    precision: Precision = Field(
        Precision.FLOAT32, description="Arithmetic of a training step."
    )

    @model_validator(mode="after")
    def _cool_down(self) -> Self:
        """Refuse a learning rate that grows."""
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate {self.final_learning_rate} is above "
                f"learning_rate {self.learning_rate}"
            )
        return self


class Errors(Record):
    """Mean absolute errors over the labels of a split; null where it has none."""

    energy_mae: float | None = Field(description="Energy, over frames, in eV/atom.")
    forces_mae: float | None = Field(description="Forces, over components, in eV/Å.")
    stress_mae: float | None = Field(description="Stress, over 9 components, in GPa.")
    magmoms_mae: float | None = Field(description="Moments, over sites, in μ_B.")
    loss: float = Field(description="Weighted loss, mean over batches.")


class EpochRecord(Record):
    """What one pass over the training frames achieved."""

    epoch: int = Field(ge=1, description="Passes done so far.")
    learning_rate: float = Field(ge=0, description="Rate of the last step.")
    train: Errors = Field(
        description="Running means over the epoch while the weights moved."
    )
    val: Errors = Field(description="Errors of the validation split afterwards.")
    wall_time: float = Field(ge=0, description="Duration of the epoch in s.")


class GradientRecord(Record):
    """Gradient of the loss with respect to the weights of one layer at one step."""

    step: int = Field(ge=0, description="Optimiser steps done before.")
    fraction_of_epoch: float = Field(ge=0, le=1, description="Part of the epoch done.")
    layer: TrackedLayer = Field(description="The layer.")
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
    """A frame that no graph or no reference energy can be given."""

    frame_id: str = Field(description="Name of the frame.")
    reason: str = Field(description="Why it was left out.")


class FineTuningDoc(TaskDoc):
    """A trained, or merely re-referenced, model and how it got there."""

    model: Model = Field(description="Which model of the study it is.")
    recipe: Recipe = Field(description="How it was made from the source.")
    settings: FineTuningSettings | None = Field(
        None, description="How it was trained; null where it was not."
    )
    source: str = Field(description="Name of the source potential.")
    functional: str = Field(
        description="Functional the energies are of: that of the labels, or of the "
        "source potential where nothing was moved."
    )
    checkpoint: Artifact = Field(description="Weights that plain chgnet loads.")
    elements: list[str] = Field(description="Elements that have a reference energy.")
    n_train_frames: int = Field(0, ge=0, description="Training frames used.")
    n_train_materials: int = Field(0, ge=0, description="Materials of these frames.")
    best_epoch: int | None = Field(
        None,
        description="Epoch of the weights, that of the lowest validation energy "
        "error; null without training.",
    )
    history: list[EpochRecord] = Field(
        default_factory=list, description="One record per epoch."
    )
    gradients: list[GradientRecord] = Field(
        default_factory=list,
        description="Gradients in the first epoch, layer by layer.",
    )
    unusable_frames: list[UnusableFrame] = Field(
        default_factory=list,
        description="Frames left out of training and validation.",
    )

    @property
    def n_unusable_frames(self) -> int:
        """Number of frames left out."""
        return len(self.unusable_frames)
