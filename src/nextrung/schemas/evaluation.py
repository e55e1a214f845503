"""Settings, errors and documents of the comparison of predictions with labels."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nextrung.schemas.base import ModelDoc, Record

#: Name of the errors of test frames whose formula no training frame has.
NEW_FORMULAS = "test_new_formulas"


class EvaluationSettings(Record):
    """Which frames are evaluated."""

    splits: tuple[Literal["all", "train", "val", "test"], ...] = Field(
        ("train", "val", "test"),
        min_length=1,
        description="Splits to evaluate, each on its own; `all` for every frame, in a "
        "split or not.",
    )


class PropertyErrors(Record):
    """Errors over the frames of one split; null where no frame has the label."""

    n_frames: int = Field(ge=0, description="Frames with a prediction.")
    n_failed: int = Field(ge=0, description="Frames whose prediction failed.")
    energy_mae: float | None = Field(None, description="MAE over frames in eV/atom.")
    energy_rmse: float | None = Field(None, description="RMSE over frames in eV/atom.")
    forces_mae: float | None = Field(None, description="MAE over components in eV/Å.")
    forces_rmse: float | None = Field(None, description="RMSE over components, eV/Å.")
    stress_mae: float | None = Field(None, description="MAE over components in GPa.")
    stress_rmse: float | None = Field(None, description="RMSE over components, GPa.")
    magmoms_mae: float | None = Field(None, description="MAE over labelled atoms, μ_B.")
    magmoms_rmse: float | None = Field(
        None, description="RMSE over labelled atoms, μ_B."
    )


class FailedFrames(Record):
    """Frames whose prediction failed for the same reason."""

    reason: str = Field(description="Why the prediction failed.")
    frame_ids: tuple[str, ...] = Field(description="Ids of the frames.")


class FrameResiduals(Record):
    """Labels, predictions and errors of each frame, as columns of equal length."""

    frame_id: list[str] = Field(description="Id of the frame.")
    material_id: list[str] = Field(description="Material of the frame.")
    formula: list[str] = Field(description="Reduced formula.")
    split: list[str] = Field(description="Split of the frame.")
    n_atoms: list[int] = Field(
        default_factory=list, description="Atoms of the frame; empty where not kept."
    )
    energy_per_atom: list[float | None] = Field(description="Label in eV/atom.")
    predicted_energy_per_atom: list[float] = Field(description="Prediction in eV/atom.")
    forces_mae: list[float | None] = Field(description="MAE of the frame in eV/Å.")
    stress_mae: list[float | None] = Field(description="MAE over components in GPa.")
    magmoms_mae: list[float | None] = Field(description="MAE of the frame in μ_B.")


class EvaluationScore(Record):
    """Errors of one model against labels."""

    metrics: dict[str, PropertyErrors] = Field(
        description="Errors, by split; `test_new_formulas` are the test frames whose "
        "reduced formula no training frame has."
    )
    failures: list[FailedFrames] = Field(description="Frames without a prediction.")
    rows: FrameResiduals = Field(description="Residuals of each frame.")


class EvaluationDoc(EvaluationScore, ModelDoc):
    """Errors of one model on a data set."""

    settings: EvaluationSettings = Field(description="Settings of the stage.")
