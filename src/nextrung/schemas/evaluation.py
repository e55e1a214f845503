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
    energy_baseline_mae: float | None = Field(
        None, description="MAE of the atomic references alone in eV/atom."
    )
    energy_skill: float | None = Field(
        None, le=1, description="Fraction of `energy_baseline_mae` that is removed."
    )
    energy_pearson_r: float | None = Field(
        None,
        description="Pearson correlation of energies relative to the atomic "
        "references.",
    )
    energy_slope: float | None = Field(
        None,
        description="Slope of predicted over labelled energies relative to the "
        "atomic references.",
    )
    forces_baseline_mae: float | None = Field(
        None, description="MAE of predicting zero in eV/Å."
    )
    forces_skill: float | None = Field(
        None, le=1, description="Fraction of `forces_baseline_mae` that is removed."
    )
    forces_pearson_r: float | None = Field(
        None, description="Pearson correlation of components."
    )
    forces_slope: float | None = Field(
        None, description="Slope of predicted over labelled components."
    )
    stress_baseline_mae: float | None = Field(
        None, description="MAE of predicting zero in GPa."
    )
    stress_skill: float | None = Field(
        None, le=1, description="Fraction of `stress_baseline_mae` that is removed."
    )
    stress_pearson_r: float | None = Field(
        None, description="Pearson correlation of components."
    )
    stress_slope: float | None = Field(
        None, description="Slope of predicted over labelled components."
    )
    magmoms_baseline_mae: float | None = Field(
        None, description="MAE of predicting zero in μ_B."
    )
    magmoms_skill: float | None = Field(
        None, le=1, description="Fraction of `magmoms_baseline_mae` that is removed."
    )
    magmoms_pearson_r: float | None = Field(
        None, description="Pearson correlation of moments."
    )
    magmoms_slope: float | None = Field(
        None, description="Slope of predicted over labelled moments."
    )
    forces_cosine: float | None = Field(
        None, description="Mean cosine of force vectors, labels of 0.01 eV/Å or more."
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
    energy_baseline_mae: list[float | None] = Field(
        default_factory=list, description="MAE of the references alone in eV/atom."
    )
    forces_baseline_mae: list[float | None] = Field(
        default_factory=list, description="MAE of predicting zero in eV/Å."
    )
    stress_baseline_mae: list[float | None] = Field(
        default_factory=list, description="MAE of predicting zero in GPa."
    )
    magmoms_baseline_mae: list[float | None] = Field(
        default_factory=list, description="MAE of predicting zero in μ_B."
    )


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
