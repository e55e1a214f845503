"""Settings, fits and documents of the scaling law of data efficiency."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.models import Model

#: Errors that are fitted: a field of :class:`ScalingPoint` each.
ScaledProperty = Literal["energy_mae", "forces_mae"]


class ScalingLawSettings(Record):
    """Which training sizes are compared, and how their errors are fitted."""

    sizes: tuple[int, ...] = Field(
        (300, 1000, 3000, 10000, 30000, 100000),
        min_length=1,
        description="Training frames of each run; nested subsets by material.",
    )
    models: tuple[Model, ...] = Field(
        (Model.REFITTED_ATOM_REFS, Model.SCRATCH),
        min_length=1,
        description="Models trained at each size.",
    )
    split: Literal["train", "val", "test"] = Field(
        "val", description="Split whose errors are fitted."
    )
    fit_above: int = Field(
        1000, ge=0, description="Only sizes above this many frames are fitted."
    )
    target_energy_maes: tuple[float, ...] = Field(
        (0.02, 0.01), description="Energy errors in eV/atom to find the size for."
    )
    target_forces_maes: tuple[float, ...] = Field(
        (), description="Forces errors in eV/Å to find the size for."
    )
    n_bootstrap: int = Field(
        1000, ge=0, description="Resamples behind the interval of the crossing."
    )
    seed: int = Field(0, ge=0, description="Seed of the subsets and the resamples.")


class ScalingPoint(Record):
    """Errors of one model trained on one subset."""

    model: Model = Field(description="How the model was made.")
    n_frames: int = Field(ge=0, description="Training frames; 0 without training.")
    n_materials: int = Field(ge=0, description="Materials of the training frames.")
    energy_mae: float | None = Field(description="Mean absolute error in eV/atom.")
    forces_mae: float | None = Field(description="Mean absolute error in eV/Å.")
    error: str | None = Field(None, description="Why the errors are missing.")


class PowerLaw(Record):
    """A straight line through log10(error) over log10(frames)."""

    slope: float | None = Field(None, description="Exponent of the power law.")
    intercept: float | None = Field(
        None, description="log10 of the error at one frame."
    )
    r_squared: float | None = Field(
        None, description="Coefficient of determination; null for two points."
    )
    n_points: int = Field(ge=0, description="Points that were fitted.")
    largest_size: float | None = Field(
        None, description="Largest size that was fitted, in frames."
    )
    error: str | None = Field(None, description="Why there is no fit.")


class Leader(StrEnum):
    """Who has the lower error at every size studied."""

    TRANSFER = "transfer"
    SCRATCH = "scratch"
    NEITHER = "neither"


class Crossing(Record):
    """Where the law of transfer meets the law of training from scratch."""

    leader: Leader | None = Field(
        None, description="Who is ahead at every size studied; null without errors."
    )
    largest_size: int | None = Field(
        None, description="Largest size that both were studied at, in frames."
    )

    n_frames: float | None = Field(None, description="Training frames at the crossing.")
    low: float | None = Field(None, description="2.5 % quantile of the resamples.")
    high: float | None = Field(
        None, description="97.5 % quantile; null where it lies at infinity."
    )
    n_resamples: int = Field(0, ge=0, description="Resamples drawn.")
    n_crossing: int = Field(0, ge=0, description="Resamples whose laws cross.")
    error: str | None = Field(None, description="Why there is no crossing.")


class RequiredSize(Record):
    """Training frames that one law asks for an error."""

    model: Model = Field(description="Model of the law.")
    error_wanted: float = Field(gt=0, description="Error in the unit of the property.")
    n_frames: float | None = Field(description="Training frames; null where none.")
    error: str | None = Field(None, description="Why there is no size.")


class PropertyScaling(Record):
    """The laws of one property."""

    laws: dict[str, PowerLaw] = Field(description="Fit of each model.")
    crossing: Crossing = Field(description="Where transfer meets scratch.")
    required_sizes: list[RequiredSize] = Field(description="Frames per wanted error.")


class ScalingLawScore(Record):
    """What transfer saves, and up to which size."""

    points: list[ScalingPoint] = Field(description="Every run, by model and size.")
    laws: dict[ScaledProperty, PropertyScaling] = Field(description="By property.")


class ScalingLawDoc(ScalingLawScore, TaskDoc):
    """The scaling law of a study."""

    labels: str = Field(description="Functional and origin of the labels.")
    settings: ScalingLawSettings = Field(description="Settings the fits ran with.")
