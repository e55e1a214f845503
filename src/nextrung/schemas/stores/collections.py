"""Rows of the result collections: flat documents, so that fields can be indexed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nextrung.schemas.base import Record
from nextrung.schemas.benchmark import BenchmarkProperty
from nextrung.schemas.density import DensityFields
from nextrung.schemas.evaluation import PropertyErrors
from nextrung.schemas.models import Rereference, Trained, TrainingLabels
from nextrung.schemas.physics import PhysicsRecord
from nextrung.schemas.relaxation import RelaxationStatus
from nextrung.schemas.scaling_law import ScalingPoint
from nextrung.schemas.stability import MaterialStability

if TYPE_CHECKING:
    from collections.abc import Mapping


class Collection(StrEnum):
    """Result collection, built from the documents of the jobs."""

    MODELS = "models"
    METRICS = "metrics"
    RESIDUALS = "residuals"
    RELAXATIONS = "relaxations"
    STABILITY = "stability"
    DENSITIES = "densities"
    PHYSICS = "physics"
    SCALING = "scaling"
    BENCHMARKS = "benchmarks"
    JOBS = "jobs"


class Row(Record):
    """Study and job that a row belongs to."""

    study: str = Field(description="Name of the study.")
    job_uuid: str = Field(description="Job whose document the row is made from.")
    fingerprint: str = Field(description="Fingerprint of that document.")
    completed_at: str = Field(description="End of that job, UTC, ISO 8601.")


class PerModelRow(Row):
    """Row about one model of a study."""

    model: str = Field(description="Model of the study.")


class PerMaterialRow(PerModelRow):
    """Row about one material and one model of a study."""

    material_id: str = Field(description="Id of the material.")
    formula: str = Field(description="Reduced formula.")


class ModelRow(PerModelRow):
    """How one model was made, and its training data."""

    pretrained: bool = Field(description="Whether training starts from source weights.")
    rereference: Rereference = Field(description="How atomic references are moved.")
    trained: Trained = Field(description="Which weights are trained.")
    adapter_rank: int | None = Field(
        None, description="Rank of the adapters; null for other trained parts."
    )
    anchor: Literal["l2", "replay"] | None = Field(
        None, description="What keeps the model near the source; null: nothing."
    )
    anchor_weight: float | None = Field(
        None, description="Weight of the anchor in the loss; null without one."
    )
    training_labels: TrainingLabels = Field(
        TrainingLabels.AS_GIVEN, description="Labels that were trained on."
    )
    source: str = Field(description="Source potential.")
    functional: str = Field(description="Functional of the predicted energies.")
    elements: tuple[str, ...] = Field(description="Elements with a reference energy.")
    checkpoint: str = Field(description="Path relative to the artifacts folder.")
    checkpoint_sha256: str = Field(description="SHA-256 of the checkpoint.")
    labels: str | None = Field(
        description="Functional and origin of the labels; null where none were used."
    )
    dataset_fingerprint: str | None = Field(description="Fingerprint of the data set.")
    frames_sha256: str | None = Field(description="SHA-256 of the frames file.")
    n_train_frames: int = Field(ge=0, description="Training frames used.")
    n_train_materials: int = Field(ge=0, description="Materials of these frames.")
    epochs: int | None = Field(description="Training epochs; null without training.")
    batch_size: int | None = Field(description="Frames per optimiser step.")
    learning_rate: float | None = Field(description="Learning rate of the first step.")
    seed: int | None = Field(description="Random seed of the training.")
    best_epoch: int | None = Field(description="Epoch of the checkpoint.")
    val_energy_mae: float | None = Field(
        description="Validation energy MAE of that epoch in eV/atom."
    )
    wall_time: float = Field(ge=0, description="Duration of the job in s.")
    device: str = Field(description="CPU or GPU model that ran the job.")


class MetricsRow(PropertyErrors, PerModelRow):
    """Errors of one model over one split; null where no frame has the label."""

    split: str = Field(
        description="`train`, `val`, `test`, or `test_new_formulas`: test frames whose "
        "reduced formula no training frame has."
    )


class ResidualRow(PerMaterialRow):
    """Errors of one model over the frames of one material."""

    elements: tuple[str, ...] = Field(description="Elements, sorted.")
    split: str = Field(description="Split of the material.")
    n_frames: int = Field(ge=1, description="Frames with a prediction.")
    energy_mae: float | None = Field(description="Mean over frames in eV/atom.")
    forces_mae: float | None = Field(description="Mean over frames in eV/Å.")
    stress_mae: float | None = Field(description="Mean over frames in GPa.")
    magmoms_mae: float | None = Field(description="Mean over frames in μ_B.")
    worst_frame_id: str | None = Field(
        description="Frame of the largest energy error; null without energies."
    )
    worst_energy_error: float | None = Field(
        description="Prediction minus label of that frame in eV/atom."
    )


class RelaxationRow(PerMaterialRow):
    """Relaxation of one material by one model."""

    elements: tuple[str, ...] = Field(description="Elements, sorted.")
    chemical_system: str = Field(description="Elements, sorted, joined by hyphens.")
    n_atoms: int = Field(ge=1, description="Atoms of the cell.")
    split: str = Field(description="Split of the material.")
    status: RelaxationStatus = Field(description="Status of the relaxation.")
    failed: bool = Field(description="Whether there is no final energy.")
    energy_per_atom: float | None = Field(description="Final energy in eV/atom.")
    initial_energy_per_atom: float | None = Field(
        description="Initial energy in eV/atom."
    )
    n_steps: int = Field(ge=0, description="Optimiser steps.")
    fmax: float | None = Field(
        description="Maximum force at the end in eV/Å, cell gradient included."
    )
    volume_per_atom: float | None = Field(description="Final volume in Å³/atom.")
    initial_volume_per_atom: float = Field(description="Initial volume in Å³/atom.")
    error: str | None = Field(description="Why the relaxation failed.")
    shard: int = Field(ge=0, description="Index of the shard.")
    relaxations: str = Field(description="Artifact with the relaxed structure.")


class StabilityRow(MaterialStability, PerMaterialRow):
    """Stability of one material according to labels and to a model."""

    elements: tuple[str, ...] = Field(description="Elements, sorted.")
    decomposition_energy_error: float | None = Field(
        description="Predicted minus target decomposition energy in eV/atom."
    )
    target_products: tuple[str, ...] = Field(
        description="Decomposition products by the labels, largest amount first."
    )
    predicted_products: tuple[str, ...] = Field(
        description="Decomposition products by the model, largest amount first."
    )


class DensityRow(DensityFields, PerMaterialRow):
    """Experimental density of one crystal, and that predicted by one model."""


class PhysicsRow(PhysicsRecord, PerModelRow):
    """One measured number of one crystal, and whether it passed."""


class ScalingRow(ScalingPoint, PerModelRow):
    """Errors of one model trained on one subset, and the fitted power laws."""

    split: Literal["train", "val", "test"] = Field(description="Split of the errors.")
    energy_slope: float | None = Field(description="Exponent of the energy power law.")
    energy_r_squared: float | None = Field(description="R² of the energy power law.")
    forces_slope: float | None = Field(description="Exponent of the forces power law.")
    forces_r_squared: float | None = Field(description="R² of the forces power law.")


class BenchmarkRow(PerMaterialRow):
    """Measured property of one crystal, and that predicted by one potential."""

    functional: str = Field(description="Functional of the predicted energies.")
    property: BenchmarkProperty = Field(description="What was measured.")
    experiment: float = Field(description="Measured value: Å, g/cm³, GPa or eV/atom.")
    temperature: float = Field(
        description="Temperature of the experiment in K; 0 for values without thermal "
        "and zero-point motion."
    )
    reference: str = Field(description="Origin of the measured value.")
    value: float | None = Field(description="Value of the potential.")
    deviation: float | None = Field(
        description="Relative deviation; for formation enthalpies, in eV/atom."
    )
    error: str | None = Field(description="Why there is no value.")


class JobRow(Row):
    """One finished job: document, inputs, machine and duration."""

    name: str = Field(description="Name of the job.")
    part: str = Field(description="Stage, or stage/model.")
    stage: str = Field(description="Stage of the study.")
    model: str | None = Field(description="Model of the study; null for all.")
    document: str = Field(description="Class of the document.")
    shard: int | None = Field(description="Index of the shard; null for other jobs.")
    n_materials: int | None = Field(description="Materials of the document.")
    wall_time: float = Field(ge=0, description="Duration in s.")
    host: str = Field(description="Host name of the machine.")
    device: str = Field(description="CPU or GPU model that ran the job.")
    git_commit: str | None = Field(description="Git commit of the code.")
    nextrung_version: str = Field(description="Version of nextrung.")
    parents: tuple[str, ...] = Field(description="Fingerprints of the inputs.")


#: Row type of each collection.
ROWS: Mapping[Collection, type[Row]] = {
    Collection.MODELS: ModelRow,
    Collection.METRICS: MetricsRow,
    Collection.RESIDUALS: ResidualRow,
    Collection.RELAXATIONS: RelaxationRow,
    Collection.STABILITY: StabilityRow,
    Collection.DENSITIES: DensityRow,
    Collection.PHYSICS: PhysicsRow,
    Collection.SCALING: ScalingRow,
    Collection.BENCHMARKS: BenchmarkRow,
    Collection.JOBS: JobRow,
}

#: Fields that identify a row of each collection.
KEYS: Mapping[Collection, tuple[str, ...]] = {
    Collection.MODELS: ("study", "model"),
    Collection.METRICS: ("study", "model", "split"),
    Collection.RESIDUALS: ("study", "model", "material_id"),
    Collection.RELAXATIONS: ("study", "model", "material_id"),
    Collection.STABILITY: ("study", "model", "material_id"),
    Collection.DENSITIES: ("study", "model", "material_id"),
    Collection.PHYSICS: ("study", "model", "crystal_id", "measure"),
    Collection.SCALING: ("study", "model", "n_frames", "seed"),
    Collection.BENCHMARKS: ("study", "model", "property", "material_id"),
    Collection.JOBS: ("study", "job_uuid"),
}
