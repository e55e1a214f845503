"""A made-up study: all documents and the results that summarise them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.made_up_study.models import (
    make_density,
    make_evaluation,
    make_fine_tuning,
    make_relaxation,
    make_stability,
)
from tests.made_up_study.stages import (
    ENERGY_ERRORS,
    LABELS,
    make_alignment,
    make_atom_refs,
    make_dataset,
    make_preflight,
    make_provenance,
    make_scaling_law,
)

from nextrung.schemas.alignment import AlignmentDoc, AlignmentSettings
from nextrung.schemas.dataset import DatasetDoc
from nextrung.schemas.density import DensityDoc, DensityErrors, DensitySettings
from nextrung.schemas.evaluation import EvaluationDoc, PropertyErrors
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.models import Model, Rereference
from nextrung.schemas.scaling_law import ScalingLawDoc, ScalingLawSettings
from nextrung.schemas.stability import StabilityDoc, StabilitySettings
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
    from nextrung.schemas.base import TaskDoc


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
            n_seen=dataset.n_seen,
            identity=dataset.identity,
            n_rejected=dict(dataset.n_rejected),
            n_materials_by_split=dataset.n_materials_by_split,
            n_frames_by_split=dataset.n_frames_by_split,
            n_frames_by_label=dataset.n_frames_by_label,
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


def replace_models(
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
