"""Settings, fits and documents of scaling laws of the error."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.models import Model

#: Fields of :class:`ScalingPoint` that are fitted.
ScaledProperty = Literal["energy_mae", "forces_mae"]


class FittedReferences(StrEnum):
    """Frames that the atomic references of a scaling law are fitted to."""

    SUBSET = "subset"
    TRAINING_SPLIT = "training_split"


class ScalingLawSettings(Record):
    """Training set sizes to compare, and how errors are fitted."""

    sizes: tuple[Annotated[int, Field(ge=1, le=10**9)], ...] = Field(
        (300, 1000, 3000, 10000, 30000, 100000),
        min_length=1,
        description="Numbers of training frames; smaller subsets are part of larger "
        "ones and consist of whole materials.",
    )
    models: tuple[Model, ...] = Field(
        (Model.REFITTED_ATOM_REFS, Model.SCRATCH),
        min_length=1,
        description="Models trained at each size; the first pretrained one is compared "
        "with `scratch`.",
    )
    split: Literal["train", "val", "test"] = Field(
        "val", description="Split whose errors are fitted."
    )
    fit_above: int = Field(
        1000, ge=0, description="Only sizes above this number of frames are fitted."
    )
    target_energy_maes: tuple[float, ...] = Field(
        (0.02, 0.01), description="Energy MAEs in eV/atom to estimate the size for."
    )
    target_forces_maes: tuple[float, ...] = Field(
        (), description="Forces MAEs in eV/Å to estimate the size for."
    )
    fitted_references: FittedReferences = Field(
        FittedReferences.SUBSET,
        description="`subset` fits atomic references to the frames of each training, "
        "`training_split` to all training frames whatever the size, as Huang et al.; "
        "small sizes then know energies of frames that they were not trained on.",
    )
    n_repeats: int = Field(
        1,
        ge=1,
        description="Trainings of each model and size, with successive seeds: other "
        "subsets, weights and orders of frames.",
    )
    seed: int = Field(0, ge=0, description="Seed of the first of them.")


class ScalingPoint(Record):
    """Errors of one model trained on one subset of the training frames."""

    model: Model = Field(description="Model of the study.")
    n_frames: int = Field(ge=0, description="Training frames; 0 without training.")
    n_materials: int = Field(ge=0, description="Materials of the training frames.")
    seed: int = Field(0, ge=0, description="Seed of subset and training.")
    n_scored: int = Field(0, ge=0, description="Frames that the errors are means of.")
    n_unscored: int = Field(
        0,
        ge=0,
        description="Frames of the split without a prediction, such as those with an "
        "element that no training frame has.",
    )
    undertrained: bool = Field(
        default=False,
        description="Whether the validation energy error still fell at the end.",
    )
    energy_mae: float | None = Field(description="Mean absolute error in eV/atom.")
    forces_mae: float | None = Field(description="Mean absolute error in eV/Å.")
    error: str | None = Field(None, description="Why the errors are missing.")


class PowerLaw(Record):
    """Straight line through log10(error) over log10(frames)."""

    slope: float | None = Field(None, description="Exponent of the power law.")
    intercept: float | None = Field(
        None, description="log10 of the error extrapolated to one frame."
    )
    r_squared: float | None = Field(
        None, description="Coefficient of determination; null for two points."
    )
    n_points: int = Field(ge=0, description="Points fitted.")
    largest_size: float | None = Field(None, description="Largest fitted size, frames.")
    error: str | None = Field(None, description="Why there is no fit.")


class Leader(StrEnum):
    """Which training has the lower error at every size studied."""

    TRANSFER = "transfer"
    SCRATCH = "scratch"
    NEITHER = "neither"


class Crossing(Record):
    """Crossing of the power laws of transfer learning and training from scratch."""

    leader: Leader | None = Field(
        None, description="Training with the lower error; null without errors."
    )
    largest_size: int | None = Field(
        None, description="Largest common size, in frames."
    )
    undertrained_sizes: tuple[int, ...] = Field(
        (),
        description="Sizes in frames at which training from scratch ended while its "
        "validation error still fell.",
    )
    n_frames: float | None = Field(None, description="Training frames at the crossing.")
    low: float | None = Field(
        None,
        description="Lower end of its 95 % interval, in frames; null without interval.",
    )
    high: float | None = Field(
        None, description="Upper end, in frames; null if infinite."
    )
    error: str | None = Field(None, description="Why there is no crossing.")


class RequiredSize(Record):
    """Number of training frames at which a power law reaches an error."""

    model: Model = Field(description="Model of the power law.")
    error_wanted: float = Field(gt=0, description="Wanted error in eV/atom or eV/Å.")
    n_frames: float | None = Field(description="Training frames; null if unknown.")
    low: float | None = Field(
        None,
        description="Lower end of its 95 % interval, in frames; null if unknown.",
    )
    high: float | None = Field(
        None, description="Upper end, in frames; null if infinite or unknown."
    )
    extrapolated: bool = Field(
        default=False,
        description="Whether it is more than ten times the largest size fitted.",
    )
    error: str | None = Field(None, description="Why the number is unknown.")


class PropertyScaling(Record):
    """Power laws of one property."""

    laws: dict[str, PowerLaw] = Field(description="Fit of each model.")
    crossing: Crossing = Field(description="Crossing of transfer and scratch.")
    required_sizes: list[RequiredSize] = Field(description="By error and model.")


class ScalingLawScore(Record):
    """Power laws of energy and forces errors."""

    points: list[ScalingPoint] = Field(description="Errors of every training.")
    laws: dict[ScaledProperty, PropertyScaling] = Field(
        description="Power laws, by error."
    )


class ScalingLawDoc(ScalingLawScore, TaskDoc):
    """Scaling laws of a study."""

    labels: str = Field(description="Functional and origin of the labels.")
    settings: ScalingLawSettings = Field(description="Settings of the stage.")
