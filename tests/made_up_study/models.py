"""Documents of each model of a made-up study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.made_up_study.stages import LABELS, MATERIALS, make_artifact, make_provenance

from nextrung.schemas.base import Artifact
from nextrung.schemas.density import DensityDoc, DensityRecord, DensitySettings
from nextrung.schemas.evaluation import (
    EvaluationDoc,
    EvaluationSettings,
    FailedFrames,
    FrameResiduals,
    PropertyErrors,
)
from nextrung.schemas.fine_tuning import (
    EpochRecord,
    Errors,
    FineTuningDoc,
    FineTuningSettings,
    GradientRecord,
    UnusableFrame,
)
from nextrung.schemas.models import RECIPES, Model, Rereference, Trained
from nextrung.schemas.relaxation import (
    RelaxationDoc,
    RelaxationSettings,
    RelaxationStatus,
)
from nextrung.schemas.stability import (
    StabilityErrors,
    StabilityRecord,
    StabilitySettings,
)
from nextrung.schemas.stability.table import (
    CompetingPhases,
    LoadedStability,
    StabilityTable,
    list_columns,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.stability import StabilityDoc

#: Tracked layers, the first of the readout last.
LAYERS = ("AtomEmb", "BondEmb", "AngleEmb", "MLP_Layer0")


def make_errors(energy_mae: float, forces_factor: float = 2.0) -> PropertyErrors:
    return PropertyErrors(
        n_frames=3,
        n_failed=0,
        energy_mae=energy_mae,
        energy_rmse=1.2 * energy_mae,
        forces_mae=forces_factor * min(energy_mae, 0.07),
        forces_rmse=3 * energy_mae,
        stress_mae=10 * min(energy_mae, 0.07),
        stress_rmse=12 * energy_mae,
        magmoms_mae=None,
        magmoms_rmse=None,
    )


def make_gradients(scale: float) -> list[GradientRecord]:
    return [
        GradientRecord(
            step=step,
            fraction_of_epoch=step / 3,
            layer=layer,
            minimum=-scale,
            p5=-0.5 * scale,
            p25=-0.1 * scale,
            median=0.0,
            p75=0.1 * scale,
            p95=0.5 * scale,
            maximum=scale,
            mean_abs=0.2 * scale,
            norm=scale * (3 - step / 2),
        )
        for step in range(3)
        for layer in LAYERS
    ]


def make_fine_tuning(model: str, energy_mae: float) -> FineTuningDoc:
    recipe = RECIPES[Model(model) if model in set(Model) else Model.SOURCE]
    trained = recipe.trained is not Trained.NOTHING
    errors = [
        Errors(
            energy_mae=energy_mae * (4 - epoch),
            forces_mae=2 * energy_mae * (4 - epoch),
            stress_mae=10 * energy_mae,
            magmoms_mae=None,
            loss=1.0 / epoch,
        )
        for epoch in (1, 2, 3)
    ]
    history = [
        EpochRecord(
            epoch=epoch, learning_rate=1e-3, train=scores, val=scores, wall_time=5
        )
        for epoch, scores in enumerate(errors, start=1)
    ]
    scale = 1e-2 if recipe.rereference is not Rereference.NONE else 1e-1
    return FineTuningDoc(
        provenance=make_provenance(f"fine_tuning/{model}", "cuda"),
        model=model,
        recipe=recipe,
        settings=FineTuningSettings(epochs=3) if trained else None,
        source="chgnet-0.3.0",
        functional="r2SCAN",
        checkpoint=Artifact(
            path=f"checkpoints/{model}.pth.tar", sha256="0" * 64, size=1
        ),
        elements=["Li", "Mn", "O"],
        n_train_frames=21 if trained else 0,
        n_train_materials=7 if trained else 0,
        best_epoch=3 if trained else None,
        history=history if trained else [],
        gradients=make_gradients(scale) if trained else [],
        unusable_frames=[UnusableFrame(frame_id="lone-1", reason="no bond")]
        if trained
        else [],
    )


def make_evaluation(model: str, energy_mae: float) -> EvaluationDoc:
    frames = [(row, step) for row in MATERIALS for step in range(3)]
    labels = [row[3] - 5 - 0.1 * step for row, step in frames]
    return EvaluationDoc(
        provenance=make_provenance(f"evaluation/{model}"),
        model=model,
        labels=LABELS,
        settings=EvaluationSettings(),
        metrics={s: make_errors(energy_mae) for s in ("train", "val", "test")},
        failures=[FailedFrames(reason="no reference for Yb", frame_ids=("yb-1",))],
        rows=FrameResiduals(
            frame_id=[f"{row[0]}-{step}" for row, step in frames],
            material_id=[f"m-{row[0]}" for row, _ in frames],
            formula=[row[0] for row, _ in frames],
            split=[row[2] for row, _ in frames],
            energy_per_atom=list(labels),
            predicted_energy_per_atom=[
                label + energy_mae * (step - 0.5)
                for label, (_, step) in zip(labels, frames, strict=True)
            ],
            forces_mae=[0.05 for _ in frames],
            stress_mae=[0.5 for _ in frames],
            magmoms_mae=[None for _ in frames],
        ),
    )


def make_row(material: tuple[str, str, str, float], error: float) -> StabilityRecord:
    formula, system, split, formation = material
    lost = formula == "LiO2" and error > 0.04
    above = 0.0 if formation > -0.1 or formation < -1.8 else 0.08
    shifted = None if lost else formation + error / 2
    return StabilityRecord(
        material_id=f"m-{formula}",
        formula=formula,
        chemical_system=system,
        split=split,
        status=RelaxationStatus.ISOLATED_ATOM if lost else RelaxationStatus.CONVERGED,
        target_energy_per_atom=formation - 5,
        predicted_energy_per_atom=None if shifted is None else shifted - 5,
        target_decomposition_energy=above - 0.02,
        predicted_decomposition_energy=None if lost else above - 0.02 + error,
        predicted_decomposition_energy_unrelaxed=above + error,
        target_energy_above_hull=above,
        predicted_energy_above_hull=None if lost else above,
        target_formation_energy=formation,
        predicted_formation_energy=shifted,
        predicted_formation_energy_target_references=shifted,
        target_competing_phases=(),
        predicted_competing_phases=(),
        same_products=True,
        target_stable=above == 0,
        predicted_stable=None if lost else above - 0.02 + error <= 0,
        error="an atom has no neighbour within 6 Å" if lost else None,
    )


def tabulate(records: Sequence[StabilityRecord]) -> StabilityTable:
    """Build a table of stability from records."""
    columns: dict[str, Any] = {}
    for name in list_columns():
        values = [getattr(record, name) for record in records]
        if name.endswith("_phases"):
            phases = [phase for listed in values for phase in listed]
            columns[name] = CompetingPhases(
                offsets=np.cumsum([0, *map(len, values)]),
                entry_id=np.array([phase.entry_id for phase in phases], dtype=np.str_),
                formula=np.array([phase.formula for phase in phases], dtype=np.str_),
                amount=np.array([phase.amount for phase in phases], dtype=np.float64),
            )
        elif "energy" in name:
            columns[name] = np.array(values, dtype=np.float64)
        elif name in {"same_products", "target_stable", "predicted_stable"}:
            columns[name] = np.array(values, dtype=np.bool_)
        else:
            columns[name] = np.array([value or "" for value in values], dtype=np.str_)
    return StabilityTable(**columns)


def make_stability(model: str, energy_mae: float) -> LoadedStability:
    rows = tabulate([make_row(material, energy_mae) for material in MATERIALS])
    failed = int(np.isnan(rows.predicted_energy_per_atom).sum())
    errors = StabilityErrors(
        n_materials=len(rows) - failed,
        n_missing=failed,
        decomposition_energy_mae=energy_mae,
        formation_energy_mae=energy_mae / 2,
        formation_energy_mae_target_references=energy_mae / 2,
        same_products=1.0,
        true_stable=5,
        false_stable=1,
        true_unstable=3,
        false_unstable=2,
        precision=5 / 6,
        recall=5 / 7,
        f1=10 / 13,
    )
    return LoadedStability(
        provenance=make_provenance(f"stability/{model}"),
        model=model,
        labels=LABELS,
        settings=StabilitySettings(),
        metrics={"test": errors, "all": errors},
        metrics_with_unrelaxed={"test": errors, "all": errors},
        n_materials=len(rows),
        n_failed_relaxations=failed,
        statuses={"converged": len(rows) - failed, "isolated_atom": failed},
        records=make_artifact(f"stability/{model}"),
        rows=rows,
    )


def make_relaxation(model: str, stability: StabilityDoc) -> RelaxationDoc:
    return RelaxationDoc(
        provenance=make_provenance(f"relaxation/{model}"),
        model=model,
        settings=RelaxationSettings(),
        n_materials=stability.n_materials,
        n_failed=stability.n_failed_relaxations,
        statuses=stability.statuses,
        n_steps=100,
        relaxation_time=2.0,
        records=make_artifact(f"relaxations/{model}"),
    )


def make_density(model: str, energy_mae: float) -> DensityDoc:
    ratios = [1 + min(energy_mae, 0.06) * (index - 4) / 8 for index in range(12)]
    rows = [
        DensityRecord(
            crystal_id=f"crystal-{index}",
            formula="NaCl",
            experimental_density=2.16,
            predicted_density=2.16 / ratio,
            ratio=ratio,
            status=RelaxationStatus.CONVERGED,
            n_steps=30,
            reference="a handbook",
        )
        for index, ratio in enumerate(ratios)
    ]
    lost = DensityRecord(
        crystal_id="crystal-lost",
        formula="KCl",
        experimental_density=1.98,
        predicted_density=None,
        ratio=None,
        status=RelaxationStatus.NON_FINITE,
        n_steps=3,
        error="the energy is not finite",
    )
    return DensityDoc(
        provenance=make_provenance(f"density/{model}"),
        model=model,
        labels=LABELS,
        settings=DensitySettings(),
        mae=2 * energy_mae,
        mean_ratio=sum(ratios) / len(ratios),
        n_crystals=len(rows) + 1,
        n_failed=1,
        rows=[*rows, lost],
    )
