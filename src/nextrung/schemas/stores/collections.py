"""Flat documents of the result collections: one thing each, every field indexable."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nextrung.schemas.base import Record
from nextrung.schemas.models import Model, Rereference, Trained
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


class Collection(StrEnum):
    """A result collection, beside the documents of the jobs."""

    MODELS = "models"
    METRICS = "metrics"
    RESIDUALS = "residuals"
    RELAXATIONS = "relaxations"
    STABILITY = "stability"
    DENSITIES = "densities"
    SCALING = "scaling"
    JOBS = "jobs"


class Row(Record):
    """What every row names: its study, and the job it was read from."""

    study: str = Field(description="Name of the study.")
    job_uuid: str = Field(description="Job whose document the row was read from.")
    fingerprint: str = Field(description="Fingerprint of that document.")
    completed_at: str = Field(description="End of that job, UTC, ISO 8601.")


class ModelRow(Row):
    """One model of a study: what it is, and what it was trained on."""

    model: str = Field(description="Model of the study.")
    pretrained: bool = Field(description="Whether the network has the source weights.")
    rereference: Rereference = Field(description="How atomic energies were moved.")
    trained: Trained = Field(description="Which weights were trained.")
    source: str = Field(description="Source potential.")
    functional: str = Field(description="Functional of the energies.")
    elements: tuple[str, ...] = Field(description="Elements with a reference energy.")
    checkpoint: str = Field(description="Path below the artifacts folder.")
    checkpoint_sha256: str = Field(description="Hash of the checkpoint.")
    labels: str | None = Field(description="Labels it was made with; null for none.")
    dataset_fingerprint: str | None = Field(description="Document of those labels.")
    frames_sha256: str | None = Field(description="Hash of the frames file.")
    n_train_frames: int = Field(ge=0, description="Training frames used.")
    n_train_materials: int = Field(ge=0, description="Materials of these frames.")
    epochs: int | None = Field(description="Epochs asked for; null without training.")
    batch_size: int | None = Field(description="Frames per optimiser step.")
    learning_rate: float | None = Field(description="Rate of the first step.")
    seed: int | None = Field(description="Seed of weights, subset and shuffling.")
    best_epoch: int | None = Field(description="Epoch of the weights.")
    val_energy_mae: float | None = Field(
        description="Validation error of that epoch in eV/atom."
    )
    wall_time: float = Field(ge=0, description="Duration of the job in s.")
    device: str = Field(description="Processor or accelerator that ran the job.")


class MetricsRow(Row):
    """Errors of one model over one split; null where nothing is labelled."""

    model: str = Field(description="Model of the study.")
    split: str = Field(description="`train`, `val` or `test`.")
    n_frames: int = Field(ge=0, description="Frames that were scored.")
    n_failed: int = Field(ge=0, description="Frames that could not be predicted.")
    energy_mae: float | None = Field(description="Over frames, in eV/atom.")
    energy_rmse: float | None = Field(description="Over frames, in eV/atom.")
    forces_mae: float | None = Field(description="Over components, in eV/Å.")
    forces_rmse: float | None = Field(description="Over components, in eV/Å.")
    stress_mae: float | None = Field(description="Over nine components, in GPa.")
    stress_rmse: float | None = Field(description="Over nine components, in GPa.")
    magmoms_mae: float | None = Field(description="Over labelled atoms, in μ_B.")
    magmoms_rmse: float | None = Field(description="Over labelled atoms, in μ_B.")


class ResidualRow(Row):
    """Errors of one model over the frames of one material."""

    model: str = Field(description="Model of the study.")
    material_id: str = Field(description="Name of the material.")
    formula: str = Field(description="Reduced formula.")
    elements: tuple[str, ...] = Field(description="Elements, sorted.")
    split: str = Field(description="Split of the material.")
    n_frames: int = Field(ge=1, description="Frames that were predicted.")
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


class RelaxationRow(Row):
    """How one model relaxed one material."""

    model: str = Field(description="Model of the study.")
    material_id: str = Field(description="Name of the material.")
    formula: str = Field(description="Reduced formula.")
    elements: tuple[str, ...] = Field(description="Elements, sorted.")
    chemical_system: str = Field(description="Elements, sorted, joined by hyphens.")
    n_atoms: int = Field(ge=1, description="Atoms of the cell.")
    split: str = Field(description="Split of the material.")
    status: RelaxationStatus = Field(description="How the relaxation ended.")
    failed: bool = Field(description="Whether it gave no energy.")
    energy_per_atom: float | None = Field(description="Relaxed, in eV/atom.")
    initial_energy_per_atom: float | None = Field(description="Before, in eV/atom.")
    n_steps: int = Field(ge=0, description="Optimiser steps done.")
    fmax: float | None = Field(description="Largest generalised force in eV/Å.")
    volume_per_atom: float | None = Field(description="Relaxed, in Å³.")
    initial_volume_per_atom: float = Field(description="Before, in Å³.")
    error: str | None = Field(description="Why it failed.")
    shard: int = Field(ge=0, description="Number of the shard.")
    relaxations: str = Field(description="File of the relaxed structure, artifact.")


class StabilityCollectionRow(Row):
    """One material on the hull of the labels and on that of a model, in eV/atom."""

    model: str = Field(description="Model of the study.")
    material_id: str = Field(description="Name of the material.")
    formula: str = Field(description="Reduced formula.")
    elements: tuple[str, ...] = Field(description="Elements, sorted.")
    chemical_system: str = Field(description="Elements, sorted, joined by hyphens.")
    split: str = Field(description="Split of the material.")
    status: RelaxationStatus = Field(description="How the relaxation ended.")
    target_stable: bool | None = Field(description="Whether the label is stable.")
    predicted_stable: bool | None = Field(description="Whether the model says so.")
    target_decomposition_energy: float | None = Field(description="Of the label.")
    predicted_decomposition_energy: float | None = Field(description="Of the model.")
    target_energy_above_hull: float | None = Field(description="Of the label.")
    predicted_energy_above_hull: float | None = Field(description="Of the model.")
    target_formation_energy: float | None = Field(description="Of the label.")
    predicted_formation_energy: float | None = Field(
        description="Of the model, from its own elemental entries."
    )
    decomposition_energy_error: float | None = Field(description="Model minus label.")
    target_products: tuple[str, ...] = Field(
        description="Phases the label decomposes into, largest amount first."
    )
    predicted_products: tuple[str, ...] = Field(
        description="Phases the model says, largest amount first."
    )
    same_products: bool | None = Field(description="Whether these are the same.")
    error: str | None = Field(description="Why an energy is missing.")


class DensityRow(Row):
    """Density of one crystal, measured and predicted by one model."""

    model: str = Field(description="Model of the study.")
    material_id: str = Field(description="Name of the crystal.")
    formula: str = Field(description="Reduced formula.")
    experimental_density: float = Field(gt=0, description="Measured, in g/cm³.")
    predicted_density: float | None = Field(description="Predicted, in g/cm³.")
    ratio: float | None = Field(
        description="Measured over predicted; null unless converged."
    )
    status: RelaxationStatus = Field(description="How the relaxation ended.")
    n_steps: int = Field(ge=0, description="Optimiser steps done.")
    temperature: float | None = Field(description="Of the measurement, in K.")
    reference: str | None = Field(description="Where the structure comes from.")
    error: str | None = Field(description="Why the relaxation failed.")


class ScalingRow(Row):
    """Errors of one model trained on one subset, and the law they follow."""

    model: Model = Field(description="How the model was made.")
    n_frames: int = Field(ge=0, description="Training frames; 0 without training.")
    n_materials: int = Field(ge=0, description="Materials of the training frames.")
    split: Literal["train", "val", "test"] = Field(description="Split of the errors.")
    energy_mae: float | None = Field(description="Mean absolute error in eV/atom.")
    forces_mae: float | None = Field(description="Mean absolute error in eV/Å.")
    energy_slope: float | None = Field(description="Exponent of the energy's law.")
    energy_r_squared: float | None = Field(description="Of the energy's law.")
    forces_slope: float | None = Field(description="Exponent of the forces' law.")
    forces_r_squared: float | None = Field(description="Of the forces' law.")
    error: str | None = Field(description="Why the errors are missing.")


class JobRow(Row):
    """One finished job: what it made, from what, where, and how long it took."""

    name: str = Field(description="Name of the job.")
    part: str = Field(description="Part of the study: stage, or stage/model.")
    stage: str = Field(description="Stage of the study.")
    model: str | None = Field(description="Model of the study; null for all.")
    document: str = Field(description="Class of the document.")
    shard: int | None = Field(description="Number of the shard; null if not one.")
    n_materials: int | None = Field(description="Materials of the document.")
    wall_time: float = Field(ge=0, description="Duration in s.")
    host: str = Field(description="Name of the machine.")
    device: str = Field(description="Processor or accelerator that ran the job.")
    git_commit: str | None = Field(description="Commit of the checkout that ran.")
    nextrung_version: str = Field(description="Version of nextrung that ran.")
    parents: tuple[str, ...] = Field(description="Fingerprints of the inputs.")


#: Row of each collection.
ROWS: Mapping[Collection, type[Row]] = {
    Collection.MODELS: ModelRow,
    Collection.METRICS: MetricsRow,
    Collection.RESIDUALS: ResidualRow,
    Collection.RELAXATIONS: RelaxationRow,
    Collection.STABILITY: StabilityCollectionRow,
    Collection.DENSITIES: DensityRow,
    Collection.SCALING: ScalingRow,
    Collection.JOBS: JobRow,
}

#: Fields that tell one row of a collection from another.
KEYS: Mapping[Collection, tuple[str, ...]] = {
    Collection.MODELS: ("study", "model"),
    Collection.METRICS: ("study", "model", "split"),
    Collection.RESIDUALS: ("study", "model", "material_id"),
    Collection.RELAXATIONS: ("study", "model", "material_id"),
    Collection.STABILITY: ("study", "model", "material_id"),
    Collection.DENSITIES: ("study", "model", "material_id"),
    Collection.SCALING: ("study", "model", "n_frames"),
    Collection.JOBS: ("study", "job_uuid"),
}
