"""Documents that a made-up study has one of."""

from __future__ import annotations

from nextrung.schemas.alignment import (
    AlignmentDoc,
    AlignmentPoints,
    AlignmentSettings,
    ElementAlignment,
    SourceEnergies,
)
from nextrung.schemas.atom_refs import AtomRefDoc, AtomRefFit, AtomRefSettings
from nextrung.schemas.base import Artifact, Provenance
from nextrung.schemas.dataset import DatasetDoc, DatasetSettings
from nextrung.schemas.labels.curation import Label, Rule
from nextrung.schemas.models import Model, Rereference
from nextrung.schemas.preflight import (
    Check,
    CheckOutcome,
    OutOfRangeFrame,
    PreflightDoc,
    PreflightSettings,
    Trial,
    Verdict,
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


def make_dataset() -> DatasetDoc:
    return DatasetDoc(
        provenance=make_provenance("dataset"),
        settings=DatasetSettings(),
        labels=LABELS,
        functional="r2SCAN",
        n_materials=len(MATERIALS),
        n_frames=33,
        n_frames_before_deduplication=40,
        n_seen=42,
        n_rejected={Rule.DUPLICATE: 7, Rule.HUBBARD_U: 2, Rule.FUNCTIONAL: 0},
        n_materials_by_split={"train": 7, "val": 1, "test": 3},
        n_frames_by_split={"train": 21, "val": 3, "test": 9},
        n_frames_by_label={
            Label.ENERGY: 33,
            Label.FORCES: 33,
            Label.STRESS: 21,
            Label.MAGMOMS: 0,
        },
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


def make_alignment() -> AlignmentDoc:
    formulas = [row[0] for row in MATERIALS]
    source = [-5 + row[3] for row in MATERIALS]
    target = [-9 + 0.2 * index for index in range(len(source))]
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
        crossing=Crossing(n_frames=4641.6, low=3000, high=None),
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
                "MLP_Layer0": norm,
                "AngleEmb": 0.0 if model is Model.SCRATCH else norm,
            },
            checked_layer="MLP_Layer0",
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
        verdicts={
            Model.FROZEN_ATOM_REFS: Verdict.NO_GO,
            Model.RESIDUAL_ATOM_REFS: Verdict.NO_GO,
        },
        reason="correlation: 0.1 before re-referencing.",
        checks=[
            Check(
                name="correlation", outcome=CheckOutcome.FAILED, finding="0.1 before"
            ),
            Check(
                name="gradients",
                model=Model.RESIDUAL_ATOM_REFS,
                outcome=CheckOutcome.PASSED,
                finding="3 times",
            ),
        ],
        n_train_frames=21,
        n_val_frames=3,
        correlation=0.1,
        correlation_beyond_composition=0.05,
        null_correlation=0.3,
        p_value=0.4,
        correlations_referenced={Rereference.REFIT: 0.2, Rereference.RESIDUAL: None},
        trials=trials,
        elements_without_reference=[],
        n_out_of_range_frames=1,
        out_of_range_frames=[
            OutOfRangeFrame(frame_id="far-1", reason="expected 1, got 2")
        ],
        training_times=dict.fromkeys(gradients, 7200.0),
    )
