"""A made-up study whose numbers follow simple rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.reports.browser import ARGUMENTS, CHROMIUM

from nextrung.schemas.alignment import (
    AlignmentDoc,
    AlignmentPoints,
    AlignmentSettings,
    ElementAlignment,
    SourceEnergies,
)
from nextrung.schemas.atom_refs import AtomRefDoc, AtomRefFit, AtomRefSettings
from nextrung.schemas.base import Artifact, Provenance, TaskDoc
from nextrung.schemas.dataset import DatasetDoc, DatasetSettings
from nextrung.schemas.density import (
    DensityDoc,
    DensityErrors,
    DensityRecord,
    DensitySettings,
)
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
    TrackedLayer,
    UnusableFrame,
)
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.models import RECIPES, Model, Rereference, Trained
from nextrung.schemas.preflight import (
    Check,
    CheckOutcome,
    OutOfRangeFrame,
    PreflightDoc,
    PreflightSettings,
    Trial,
    Verdict,
)
from nextrung.schemas.relaxation import (
    RelaxationDoc,
    RelaxationSettings,
    RelaxationStatus,
)
from nextrung.schemas.scaling_law import (
    Crossing,
    PowerLaw,
    PropertyScaling,
    RequiredSize,
    ScalingLawDoc,
    ScalingLawSettings,
    ScalingPoint,
)
from nextrung.schemas.stability import (
    StabilityDoc,
    StabilityErrors,
    StabilityRecord,
    StabilitySettings,
)
from nextrung.schemas.study import (
    AlignmentSummary,
    DatasetSummary,
    ModelSummary,
    StabilitySummary,
    StudyDoc,
    StudyResults,
    StudySettings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    Score = Callable[
        [StudyResults, dict[Model, tuple[float, float, float]]], StudyResults
    ]

LABELS = "distilled from chgnet-r2scan"

#: Energy error of every model in eV/atom; the other errors are multiples of it.
ENERGY_ERRORS = {
    Model.SOURCE: 2.3,
    Model.SOURCE_REFIT: 0.317,
    Model.SOURCE_RESIDUAL: 0.035,
    Model.SCRATCH: 0.060,
    Model.TRAINABLE_ATOM_REFS: 0.055,
    Model.FROZEN_ATOM_REFS: 0.050,
    Model.REFITTED_ATOM_REFS: 0.020,
    Model.RESIDUAL_ATOM_REFS: 0.0151,
}

#: Materials: formula, chemical system, split, formation energy in eV/atom of the label.
MATERIALS = (
    ("Li", "Li", "train", 0.0),
    ("Mn", "Mn", "train", 0.0),
    ("O2", "O", "train", 0.0),
    ("Li2O", "Li-O", "train", -2.0),
    ("Li2O2", "Li-O", "test", -1.6),
    ("LiO2", "Li-O", "val", -0.7),
    ("MnO", "Mn-O", "train", -2.1),
    ("MnO2", "Mn-O", "test", -1.9),
    ("Mn2O3", "Mn-O", "train", -2.05),
    ("LiMnO2", "Li-Mn-O", "test", -2.2),
    ("Li2MnO3", "Li-Mn-O", "train", -2.15),
)


def make_artifact(name: str) -> Artifact:
    return Artifact(path=f"{name}.parquet", sha256="0" * 64, size=1)


def make_provenance(name: str, device: str = "cpu") -> Provenance:
    return Provenance(
        fingerprint=f"fingerprint-of-{name}",
        parents={"dataset": "fingerprint-of-dataset"},
        versions={"nextrung": "0.1.0"},
        git_commit=None,
        host="host",
        device=device,
        completed_at="2026-01-01T00:00:00+00:00",
        wall_time=1800.0,
    )


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


def make_dataset() -> DatasetDoc:
    return DatasetDoc(
        provenance=make_provenance("dataset"),
        settings=DatasetSettings(),
        labels=LABELS,
        functional="r2SCAN",
        n_materials=len(MATERIALS),
        n_frames=33,
        n_frames_before_deduplication=40,
        n_rejected={Rule.DUPLICATE: 7, Rule.HUBBARD_U: 2, Rule.FUNCTIONAL: 0},
        n_materials_by_split={"train": 7, "val": 1, "test": 3},
        n_frames_by_split={"train": 21, "val": 3, "test": 9},
        element_counts={"Li": 18, "Mn": 18, "O": 27},
        frames=make_artifact("frames"),
        rejections=make_artifact("rejections"),
        materials=make_artifact("materials"),
    )


def make_atom_refs(kind: Rereference) -> AtomRefDoc:
    previous = {"Li": -3.0, "Mn": -9.0, "O": -7.0}
    shift = {"Li": -0.5, "Mn": -8.0, "O": 1.5}
    return AtomRefDoc(
        provenance=make_provenance(f"atom_refs/{kind}"),
        settings=AtomRefSettings(kind=kind),
        functional="r2SCAN",
        fit=AtomRefFit(
            energies={symbol: previous[symbol] + shift[symbol] for symbol in shift},
            rmse=0.1,
            rank=2,
            n_frames=21,
            undetermined=[["Li", "O"]],
        ),
        previous=previous,
        atom_refs={symbol: previous[symbol] + shift[symbol] for symbol in shift},
        shift=shift,
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
        for layer in TrackedLayer
    ]


def make_fine_tuning(model: Model, energy_mae: float) -> FineTuningDoc:
    recipe = RECIPES[model]
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
        checkpoint=make_artifact(f"models/{model}"),
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


def make_evaluation(model: Model, energy_mae: float) -> EvaluationDoc:
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


def make_stability(model: Model, energy_mae: float) -> StabilityDoc:
    rows = [make_row(material, energy_mae) for material in MATERIALS]
    failed = sum(row.predicted_energy_per_atom is None for row in rows)
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
    return StabilityDoc(
        provenance=make_provenance(f"stability/{model}"),
        model=model,
        labels=LABELS,
        settings=StabilitySettings(),
        metrics={"test": errors, "all": errors},
        metrics_with_unrelaxed={"test": errors, "all": errors},
        n_materials=len(rows),
        n_failed_relaxations=failed,
        statuses={"converged": len(rows) - failed, "isolated_atom": failed},
        rows=rows,
    )


def make_relaxation(model: Model, stability: StabilityDoc) -> RelaxationDoc:
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


def make_density(model: Model, energy_mae: float) -> DensityDoc:
    ratios = [1 + min(energy_mae, 0.06) * (place - 4) / 8 for place in range(12)]
    rows = [
        DensityRecord(
            crystal_id=f"crystal-{place}",
            formula="NaCl",
            experimental_density=2.16,
            predicted_density=2.16 / ratio,
            ratio=ratio,
            status=RelaxationStatus.CONVERGED,
            n_steps=30,
            reference="a handbook",
        )
        for place, ratio in enumerate(ratios)
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


def make_alignment() -> AlignmentDoc:
    formulas = [row[0] for row in MATERIALS]
    source = [-5 + row[3] for row in MATERIALS]
    target = [-9 + 0.2 * place for place in range(len(source))]
    return AlignmentDoc(
        provenance=make_provenance("alignment"),
        labels=LABELS,
        source="chgnet-0.3.0",
        source_energies=SourceEnergies.PREDICTED,
        settings=AlignmentSettings(),
        n_frames=len(source),
        n_left_out=1,
        left_out={"no label": 1},
        correlation=0.1234,
        correlation_referenced=0.9876,
        mean_absolute_difference=4.0,
        mean_absolute_difference_referenced=0.1,
        elements={
            symbol: ElementAlignment(
                n_atoms=10, shift=shift, importance=0.3, normalised_importance=0.5
            )
            for symbol, shift in (("Li", -0.5), ("Mn", -8.0), ("O", 1.5))
        },
        rows=AlignmentPoints(
            frame_id=[f"{formula}-0" for formula in formulas],
            material_id=[f"m-{formula}" for formula in formulas],
            formula=formulas,
            source=source,
            target=target,
            source_referenced=[row[3] for row in MATERIALS],
            target_referenced=[1.1 * row[3] for row in MATERIALS],
        ),
    )


def make_scaling_law() -> ScalingLawDoc:
    sizes = (100, 300, 1000, 3000)
    models = {Model.REFITTED_ATOM_REFS: (-0.3, 0.1), Model.SCRATCH: (-0.6, 1.2)}
    points = [
        ScalingPoint(
            model=model,
            n_frames=size,
            n_materials=size // 4,
            energy_mae=10 ** (intercept - 1) * size**slope,
            forces_mae=10**intercept * size**slope,
        )
        for model, (slope, intercept) in models.items()
        for size in sizes
    ]
    zero = ScalingPoint(
        model=Model.SOURCE_REFIT,
        n_frames=0,
        n_materials=0,
        energy_mae=0.3,
        forces_mae=0.3,
    )
    laws = {
        str(model): PowerLaw(
            slope=slope, intercept=intercept - 1, r_squared=0.99, n_points=4
        )
        for model, (slope, intercept) in models.items()
    }
    energy = PropertyScaling(
        laws=laws,
        crossing=Crossing(
            n_frames=4641.6, low=3000, high=None, n_resamples=1000, n_crossing=990
        ),
        required_sizes=[
            RequiredSize(
                model=Model.REFITTED_ATOM_REFS, error_wanted=0.01, n_frames=4642
            )
        ],
    )
    too_few = PowerLaw(n_points=1, error="1 size above 1,000 frames, 2 are needed")
    forces = PropertyScaling(
        laws={str(model): too_few for model in models},
        crossing=Crossing(error="no law to cross"),
        required_sizes=[],
    )
    return ScalingLawDoc(
        provenance=make_provenance("scaling_law"),
        labels=LABELS,
        settings=ScalingLawSettings(sizes=sizes, fit_above=50),
        points=[*points, zero],
        laws={"energy_mae": energy, "forces_mae": forces},
    )


def make_preflight() -> PreflightDoc:
    gradients = {
        Model.SCRATCH: 0.1,
        Model.FROZEN_ATOM_REFS: 2.0,
        Model.RESIDUAL_ATOM_REFS: 0.3,
    }
    trials = [
        Trial(
            model=model,
            energy_mae=ENERGY_ERRORS[model],
            forces_mae=0.1,
            stress_mae=None,
            gradient_norms={
                TrackedLayer.READOUT_FIRST: norm,
                TrackedLayer.ANGLE_EMBEDDING: 0.0 if model is Model.SCRATCH else norm,
            },
            seconds_per_frame=0.1,
        )
        for model, norm in gradients.items()
    ]
    return PreflightDoc(
        provenance=make_provenance("preflight"),
        settings=PreflightSettings(),
        labels=LABELS,
        source="chgnet-0.3.0",
        verdict=Verdict.NO_GO,
        reason="correlation: 0.1 before re-referencing.",
        checks=[
            Check(
                name="correlation", outcome=CheckOutcome.FAILED, finding="0.1 before"
            ),
            Check(name="gradients", outcome=CheckOutcome.PASSED, finding="3 times"),
        ],
        n_train_frames=21,
        n_val_frames=3,
        correlation=0.1,
        correlations_referenced={Rereference.REFIT: 0.2, Rereference.RESIDUAL: None},
        trials=trials,
        elements_without_reference=[],
        n_out_of_range_frames=1,
        out_of_range_frames=[
            OutOfRangeFrame(frame_id="far-1", reason="expected 1, got 2")
        ],
        training_times=dict.fromkeys(gradients, 7200.0),
    )


def make_documents() -> dict[str, TaskDoc]:
    documents: dict[str, TaskDoc] = {
        "preflight": make_preflight(),
        "dataset": make_dataset(),
        "atom_refs/refit": make_atom_refs(Rereference.REFIT),
        "atom_refs/residual": make_atom_refs(Rereference.RESIDUAL),
        "alignment": make_alignment(),
        "scaling_law": make_scaling_law(),
    }
    for model, error in ENERGY_ERRORS.items():
        stability = make_stability(model, error)
        documents |= {
            f"fine_tuning/{model}": make_fine_tuning(model, error),
            f"evaluation/{model}": make_evaluation(model, error),
            f"relaxation/{model}": make_relaxation(model, stability),
            f"stability/{model}": stability,
            f"density/{model}": make_density(model, error),
        }
    return documents


def summarise_model(documents: dict[str, TaskDoc], model: Model) -> ModelSummary:
    tuned = documents[f"fine_tuning/{model}"]
    scored = documents[f"evaluation/{model}"]
    hull = documents.get(f"stability/{model}")
    density = documents.get(f"density/{model}")
    assert isinstance(tuned, FineTuningDoc)
    assert isinstance(scored, EvaluationDoc)
    return ModelSummary(
        metrics=scored.metrics,
        stability=summarise_stability(hull) if isinstance(hull, StabilityDoc) else None,
        density=DensityErrors(
            mae=density.mae,
            mean_ratio=density.mean_ratio,
            n_crystals=density.n_crystals,
            n_failed=density.n_failed,
        )
        if isinstance(density, DensityDoc)
        else None,
        best_epoch=tuned.best_epoch,
        n_train_frames=tuned.n_train_frames,
        checkpoint=tuned.checkpoint.path,
        checkpoint_sha256=tuned.checkpoint.sha256,
    )


def summarise_stability(hull: StabilityDoc) -> StabilitySummary:
    test, everything = hull.metrics["test"], hull.metrics["all"]
    return StabilitySummary(
        competitors=hull.settings.competitors,
        decomposition_energy_mae=test.decomposition_energy_mae,
        decomposition_energy_mae_all=everything.decomposition_energy_mae,
        formation_energy_mae=everything.formation_energy_mae,
        formation_energy_mae_test=test.formation_energy_mae,
        formation_energy_mae_target_references=(
            everything.formation_energy_mae_target_references
        ),
        f1=everything.f1,
        n_materials=hull.n_materials,
        n_failed_relaxations=hull.n_failed_relaxations,
        statuses=hull.statuses,
    )


def make_study(documents: dict[str, TaskDoc], name: str = "demo") -> StudyDoc:
    dataset = documents["dataset"]
    alignment = documents.get("alignment")
    law = documents.get("scaling_law")
    assert isinstance(dataset, DatasetDoc)
    settings = StudySettings(
        name=name,
        description="Does transfer help? <b>Let us see.</b>",
        alignment=None if alignment is None else AlignmentSettings(),
        scaling_law=None if law is None else ScalingLawSettings(),
        density=DensitySettings() if "density/source" in documents else None,
        stability=StabilitySettings() if "stability/source" in documents else None,
    )
    results = StudyResults(
        study=name,
        labels=LABELS,
        source="chgnet-0.3.0",
        dataset=DatasetSummary(
            n_materials=dataset.n_materials,
            n_frames=dataset.n_frames,
            n_frames_before_deduplication=dataset.n_frames_before_deduplication,
            n_rejected=dict(dataset.n_rejected),
            n_materials_by_split=dataset.n_materials_by_split,
            n_frames_by_split=dataset.n_frames_by_split,
            element_counts=dataset.element_counts,
            rejections=[
                Rejection(
                    frame_id="<script>alert(1)</script>",
                    material_id="Fe&O",
                    rule=Rule.HUBBARD_U,
                    reason="expected U = 0, got U = 5.3 eV on Fe",
                )
            ],
        ),
        models={
            model: summarise_model(documents, model)
            for model in Model
            if f"evaluation/{model}" in documents
        },
        alignment=AlignmentSummary(
            correlation=alignment.correlation,
            correlation_referenced=alignment.correlation_referenced,
            source_energies=alignment.source_energies,
            n_frames=alignment.n_frames,
        )
        if isinstance(alignment, AlignmentDoc)
        else None,
        scaling_law={str(name): found for name, found in law.laws.items()}
        if isinstance(law, ScalingLawDoc)
        else None,
        jobs={key: f"uuid-of-{key}" for key in documents if key != "preflight"},
    )
    return StudyDoc(
        provenance=make_provenance("study"), settings=settings, results=results
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; tests skip without it."""
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no browser: expected a program named chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(ARGUMENTS)
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def documents() -> dict[str, TaskDoc]:
    """The documents of a study of eight models and every stage."""
    return make_documents()


@pytest.fixture(scope="session")
def study(documents: dict[str, TaskDoc]) -> StudyDoc:
    """The study of these documents."""
    return make_study(documents)


@pytest.fixture(scope="session")
def report(
    study: StudyDoc,
    documents: dict[str, TaskDoc],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The report of that study."""
    from nextrung.reports.pages.page import write_report  # noqa: PLC0415

    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(study, documents, path)
    return path


def score(
    results: StudyResults, errors: dict[Model, tuple[float, float, float]]
) -> StudyResults:
    """Replace the models by others of these energy, forces and stress errors."""
    models = {
        model: ModelSummary(
            metrics={
                "test": PropertyErrors(
                    n_frames=9,
                    n_failed=0,
                    energy_mae=energy,
                    forces_mae=forces,
                    stress_mae=stress,
                )
            },
            stability=None,
            density=None,
            best_epoch=None,
            n_train_frames=0,
            checkpoint="models/x.pt",
            checkpoint_sha256="0" * 64,
        )
        for model, (energy, forces, stress) in errors.items()
    }
    return results.model_copy(update={"models": models})


@pytest.fixture(name="score")
def score_fixture() -> Score:
    """Replace the models of a study by others of given errors."""
    return score
