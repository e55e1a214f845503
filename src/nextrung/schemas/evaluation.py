"""Settings, errors and documents of the comparison of predictions with labels."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc


class EvaluationSettings(Record):
    """Which frames are scored."""

    splits: tuple[Literal["all", "train", "val", "test"], ...] = Field(
        ("train", "val", "test"),
        min_length=1,
        description="Splits, each on its own; `all` for every frame, split or not.",
    )


class PropertyErrors(Record):
    """Errors over the frames of one split; null where nothing is labelled."""

    n_frames: int = Field(ge=0, description="Frames that were scored.")
    n_failed: int = Field(ge=0, description="Frames that could not be predicted.")
    energy_mae: float | None = Field(
        None, description="Mean absolute error over frames in eV/atom."
    )
    energy_rmse: float | None = Field(
        None, description="Root-mean-square error over frames in eV/atom."
    )
    forces_mae: float | None = Field(
        None, description="Mean absolute error over Cartesian components in eV/Å."
    )
    forces_rmse: float | None = Field(
        None, description="Root-mean-square error over Cartesian components in eV/Å."
    )
    stress_mae: float | None = Field(
        None, description="Mean absolute error over the nine components in GPa."
    )
    stress_rmse: float | None = Field(
        None, description="Root-mean-square error over the nine components in GPa."
    )
    magmoms_mae: float | None = Field(
        None, description="Mean absolute error over labelled atoms in μ_B."
    )
    magmoms_rmse: float | None = Field(
        None, description="Root-mean-square error over labelled atoms in μ_B."
    )


class FailedFrames(Record):
    """The frames that could not be predicted for one reason."""

    reason: str = Field(description="What was missing or went wrong.")
    frame_ids: tuple[str, ...] = Field(description="Frames it happened to.")


class FrameResiduals(Record):
    """What each scored frame contributes, as columns of equal length."""

    frame_id: list[str] = Field(description="Name of the frame.")
    material_id: list[str] = Field(description="Material of the frame.")
    formula: list[str] = Field(description="Reduced formula.")
    split: list[str] = Field(description="Split of the frame.")
    n_atoms: list[int] = Field(
        default_factory=list, description="Atoms of the frame; empty where not kept."
    )
    energy_per_atom: list[float | None] = Field(description="Label in eV/atom.")
    predicted_energy_per_atom: list[float] = Field(description="Prediction in eV/atom.")
    forces_mae: list[float | None] = Field(
        description="Mean absolute error over the frame's components in eV/Å."
    )
    stress_mae: list[float | None] = Field(
        description="Mean absolute error over the nine components in GPa."
    )
    magmoms_mae: list[float | None] = Field(
        description="Mean absolute error over the frame's labelled atoms in μ_B."
    )


class EvaluationScore(Record):
    """Predictions of one model against labels."""

    metrics: dict[str, PropertyErrors] = Field(description="Errors, by split.")
    failures: list[FailedFrames] = Field(description="Frames without a prediction.")
    rows: FrameResiduals = Field(description="Contribution of each scored frame.")


class EvaluationDoc(EvaluationScore, TaskDoc):
    """How well one model predicts the labels of a data set."""

    model: str = Field(description="Model of the study, or name of the potential.")
    labels: str = Field(description="Functional and origin of the labels.")
    settings: EvaluationSettings = Field(description="Settings the scores ran with.")
