"""Rows of the collections `models`, `physics` and `scaling`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.stores.collections import ModelRow, PhysicsRow, ScalingRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.physics import PhysicsDoc
    from nextrung.schemas.scaling_law import ScalingLawDoc


def describe_model(
    doc: FineTuningDoc, dataset: DatasetDoc | None, origin: Mapping[str, str]
) -> list[ModelRow]:
    """Describe how a model was made, and its training data.

    Parameters
    ----------
    doc : FineTuningDoc
        Document of the model.
    dataset : DatasetDoc or None
        Labels that the model was made with; None without any.
    origin : mapping of str to str
        Fields of :class:`.Row`.
    """
    settings, recipe = doc.settings, doc.recipe
    best = [epoch for epoch in doc.history if epoch.epoch == doc.best_epoch]
    return [
        ModelRow(
            **origin,
            model=doc.model,
            **recipe.model_dump(exclude={"anchor"}),
            anchor=recipe.anchor and recipe.anchor.kind,
            anchor_weight=recipe.anchor and recipe.anchor.weight,
            source=doc.source,
            functional=doc.functional,
            elements=tuple(doc.elements),
            checkpoint=doc.checkpoint.path,
            checkpoint_sha256=doc.checkpoint.sha256,
            labels=dataset and dataset.labels,
            dataset_fingerprint=dataset and dataset.provenance.fingerprint,
            frames_sha256=dataset and dataset.frames.sha256,
            n_train_frames=doc.n_train_frames,
            n_train_materials=doc.n_train_materials,
            epochs=settings and settings.epochs,
            batch_size=settings and settings.batch_size,
            learning_rate=settings and settings.learning_rate,
            seed=settings and settings.seed,
            best_epoch=doc.best_epoch,
            val_energy_mae=best[0].val.energy_mae if best else None,
            wall_time=doc.provenance.wall_time,
            device=doc.provenance.device,
        )
    ]


def list_physics(doc: PhysicsDoc, origin: Mapping[str, str]) -> list[PhysicsRow]:
    """List the tests of the potential energy surface of a model.

    Parameters
    ----------
    doc : PhysicsDoc
        Tests of a model.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of PhysicsRow
        One row per crystal and measure.
    """
    return [
        PhysicsRow(**origin, model=doc.model, **record.model_dump())
        for record in doc.rows
    ]


def list_scaling(doc: ScalingLawDoc, origin: Mapping[str, str]) -> list[ScalingRow]:
    """List the errors of models trained on subsets, with the fitted power laws.

    Parameters
    ----------
    doc : ScalingLawDoc
        Scaling laws of a study.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of ScalingRow
        One row per model and size.
    """
    return [
        ScalingRow(
            **origin,
            **point.model_dump(),
            split=doc.settings.split,
            **_law(doc, "energy", point.model),
            **_law(doc, "forces", point.model),
        )
        for point in doc.points
    ]


def _law(doc: ScalingLawDoc, prefix: str, model: str) -> dict[str, float | None]:
    """List slope and R² of the power law of one property."""
    scaling = {name.partition("_")[0]: laws for name, laws in doc.laws.items()}
    law = scaling[prefix].laws.get(model) if prefix in scaling else None
    return {
        f"{prefix}_slope": None if law is None else law.slope,
        f"{prefix}_r_squared": None if law is None else law.r_squared,
    }
