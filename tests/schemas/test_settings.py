from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from nextrung.schemas.alignment import AlignmentSettings
from nextrung.schemas.atom_refs import AtomRefSettings
from nextrung.schemas.dataset import DatasetSettings, SplitSettings
from nextrung.schemas.density import EMBEDDED, DensitySettings
from nextrung.schemas.evaluation import EvaluationSettings
from nextrung.schemas.fine_tuning import (
    FineTuningSettings,
    LossWeights,
    Precision,
)
from nextrung.schemas.labels.curation import CorrectionScheme, CurationSettings
from nextrung.schemas.labels.labelling import InputSet, LabelSettings
from nextrung.schemas.labels.sources import (
    AseSource,
    DistilledSource,
    EnergyLabel,
    MatpesSource,
    MptrjJsonSource,
    PrimaryTask,
    TaskDocumentsSource,
    VaspSource,
)
from nextrung.schemas.models import RECIPES, Model, Rereference
from nextrung.schemas.physics import (
    ElasticitySettings,
    PhononSettings,
    PhysicsSettings,
)
from nextrung.schemas.preflight import PreflightSettings
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationEngine,
    RelaxationSettings,
)
from nextrung.schemas.scaling_law import ScalingLawSettings
from nextrung.schemas.stability import Competitors, StabilitySettings
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from nextrung.schemas.base import Record

CORRECTED = MptrjJsonSource(paths=("a",), energy=EnergyLabel.CORRECTED)
STAGES = ("alignment", "relaxation", "stability", "density", "scaling_law")


#: A model that a study names itself.
RECIPE = {
    "pretrained": True,
    "rereference": "residual",
    "trained": "network",
    "name": "my_row",
}


@pytest.mark.parametrize(
    ("record", "settings", "message"),
    [
        (AlignmentSettings, {"max_depth": 0}, "greater than"),
        (AlignmentSettings, {"importance_scale": 0}, "greater than"),
        (AlignmentSettings, {"importance_scale_uncorrected": 0}, "greater than"),
        (AtomRefSettings, {"knid": "refit"}, "Extra inputs are not permitted"),
        (
            AtomRefSettings,
            {"unseen_elements": "prior"},
            "expected error with kind: refit, got prior; only kind: residual has",
        ),
        (
            DatasetSettings,
            {"source": {"kind": "castep"}},
            "'vasp', 'ase', 'mptrj_json'",
        ),
        (
            SplitSettings,
            {"val": 0.5, "test": 0.5},
            r"val 0.5 \+ test 0.5 leave no train",
        ),
        (DensitySettings, {"linear_strain": -1}, "greater than -1"),
        (EvaluationSettings, {"splits": ("dev",)}, "'train', 'val' or 'test'"),
        (EvaluationSettings, {"splits": ()}, "at least 1 item"),
        (FineTuningSettings, {"epochs": -1}, "epochs"),
        (FineTuningSettings, {"batch_size": 0}, "batch_size"),
        (FineTuningSettings, {"learning_rate": 0}, "learning_rate"),
        (FineTuningSettings, {"final_learning_rate": 0}, "final_learning_rate"),
        (FineTuningSettings, {"huber_delta": 0}, "huber_delta"),
        (FineTuningSettings, {"seed": -1}, "seed"),
        (FineTuningSettings, {"n_train_frames": 0}, "n_train_frames"),
        (FineTuningSettings, {"gradient_points": -1}, "gradient_points"),
        (FineTuningSettings, {"precision": "bfloat16"}, "precision"),
        (
            FineTuningSettings,
            {"learning_rate": 0.01, "final_learning_rate": 0.1},
            r"final_learning_rate 0\.1 is above",
        ),
        (
            LossWeights,
            {"energy": 0, "forces": 0, "stress": 0, "magmoms": 0},
            "at least one loss weight",
        ),
        (PhysicsSettings, {"tests": ("nve",)}, "'phonons', 'repulsion' or"),
        (PhysicsSettings, {"tests": ()}, "at least 1 item"),
        (ElasticitySettings, {"strains": (0.0, 0.01)}, "other than 0"),
        (ElasticitySettings, {"strains": (0.2, 0.01)}, "from -0.1 to 0.1"),
        (ElasticitySettings, {"strains": (0.01, 0.01)}, "each strain once"),
        (PhononSettings, {"lowest_frequency": 1.0}, "less than or equal to 0"),
        (LabelSettings, {"input_set": "r2scan"}, "'mp_r2scan', 'matpes_pbe'"),
        (PreflightSettings, {"n_train_frames": 0}, "n_train_frames"),
        (PreflightSettings, {"epochs": 0}, "epochs"),
        (PreflightSettings, {"min_correlation": 1.1}, "min_correlation"),
        (PreflightSettings, {"max_gradient_ratio": 0}, "max_gradient_ratio"),
        (PreflightSettings, {"max_lost_fraction": 2}, "max_lost_fraction"),
        (RelaxationSettings, {"fmax": 0.0}, "greater than 0"),
        (RelaxationSettings, {"fmax": math.nan}, "finite number"),
        (RelaxationSettings, {"max_steps": -1}, "greater than or equal to 0"),
        (RelaxationSettings, {"cell": "free"}, "'full', 'fixed_volume' or 'fixed'"),
        (RelaxationSettings, {"engine": "vasp"}, "'batched' or 'ase'"),
        (RelaxationSettings, {"f_max": 0.1}, "Extra inputs are not permitted"),
        (ScalingLawSettings, {"sizes": ()}, "at least 1 item"),
        (StabilitySettings, {"competitors": "all"}, "'other_compositions' or 'self'"),
        (
            StudySettings,
            {"name": "a", "relaxation": None},
            "stability needs relaxation",
        ),
        (
            StudySettings,
            {"name": "a", "models": (Model.SOURCE, Model.SOURCE)},
            "expected each model once",
        ),
        (
            StudySettings,
            {"name": "a", "models": ("my_row",)},
            "'source', 'source_refit', 'source_residual', 'scratch'",
        ),
        (
            StudySettings,
            {"name": "a", "models": (RECIPE | {"name": "scratch"},)},
            "name: expected another than of the table: scratch",
        ),
        (
            StudySettings,
            {"name": "a", "models": (RECIPE | {"name": "a/b"},)},
            "String should match pattern",
        ),
        (
            StudySettings,
            {"name": "a", "models": (RECIPE, RECIPE)},
            "expected each model once",
        ),
        (
            StudySettings,
            {"name": "a", "models": (RECIPE | {"trained": "heads"},)},
            "'nothing', 'readout', 'last_block', 'adapters', 'network' or ",
        ),
        (
            StudySettings,
            {
                "name": "a",
                "models": (RECIPE | {"pretrained": False, "trained": "nothing"},),
            },
            "random weights, and nothing is trained",
        ),
        (
            StudySettings,
            {"name": "a", "models": (RECIPE,), "finished": ("my_row",)},
            "expected names of their own, got my_row twice",
        ),
        (
            StudySettings,
            {"name": "a", "finished": ("chgnet-0.3.0",)},
            "other potentials than the source, which is the model `source`",
        ),
        (
            StudySettings,
            {"name": "a", "finished": ("/a/b.pth.tar", "/c/b.pth.tar")},
            "expected names of their own, got b twice",
        ),
        (
            StudySettings,
            {"name": "a", "finished": ("/models/scratch.pth.tar",)},
            "expected names of their own, got scratch twice",
        ),
        (
            StudySettings,
            {
                "name": "a",
                "dataset": {"source": {"kind": "distilled"}},
                "finished": ("chgnet-r2scan",),
            },
            "than the teacher of the labels, whose errors are zero, got chgnet-r2scan",
        ),
    ],
)
def test_invalid_settings_are_rejected(
    record: type[Record], settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        record.model_validate(settings)


@pytest.mark.parametrize("name", ["", "a b", "../a", "-a", "a/b"])
def test_a_study_name_that_is_no_file_name_is_rejected(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        StudySettings(name=name)


def test_corrected_energies_are_not_corrected_again() -> None:
    curation = CurationSettings(functional="PBE", corrections=CorrectionScheme.MP2020)

    with pytest.raises(ValidationError, match="uncorrected energies to correct"):
        DatasetSettings(source=CORRECTED, curation=curation)


@pytest.mark.parametrize(
    "settings",
    [
        AtomRefSettings(kind=Rereference.RESIDUAL),
        FineTuningSettings(n_train_frames=7, precision=Precision.FLOAT64),
        StabilitySettings(competitors=Competitors.SELF),
        *(
            DatasetSettings(source=source)
            for source in (
                VaspSource(paths=("$NEXTRUNG_DATA/runs",)),
                AseSource(paths=("frames.xyz",), functional="PBE"),
                CORRECTED,
                MatpesSource(paths=("MatPES.json.gz",)),
                TaskDocumentsSource(
                    paths=("tasks.json",), primary_task=PrimaryTask.NAMESAKE
                ),
                TaskDocumentsSource(
                    store="$JOBFLOW_CONFIG_FILE", query={"name": "static"}
                ),
                DistilledSource(seed=3),
            )
        ),
    ],
)
def test_settings_survive_json(settings: Record) -> None:
    returned: Any = type(settings).model_validate_json(settings.model_dump_json())

    assert returned == settings


def test_a_choice_is_an_enum_after_json() -> None:
    settings = AtomRefSettings(kind=Rereference.RESIDUAL)

    returned = AtomRefSettings.model_validate_json(settings.model_dump_json())

    assert returned.kind is Rereference.RESIDUAL


def test_type_tags_of_stored_documents_are_dropped() -> None:
    stored = {"@module": "m", "@class": "C", "@version": None, "kind": "none"}

    assert AtomRefSettings.model_validate(stored).kind is Rereference.NONE


def test_the_source_functional_may_have_a_source_of_labels_of_any_kind() -> None:
    settings = AlignmentSettings.model_validate(
        {"source": {"kind": "matpes", "paths": ["a.json"]}, "pairing": "materials"}
    )
    assert settings.source is not None
    assert settings.source.kind == "matpes"


def test_references_are_refitted_by_default() -> None:
    """Methods 1 and 4 of the paper refit total energies."""
    assert AtomRefSettings().kind is Rereference.REFIT


def test_densities_are_of_the_crystals_of_the_package_compressed_by_a_tenth() -> None:
    settings = DensitySettings()

    assert settings.source == EMBEDDED
    assert settings.linear_strain == -0.10
    assert settings.relaxation.fmax == 0.03


def test_every_split_is_evaluated_by_default() -> None:
    assert EvaluationSettings().splits == ("train", "val", "test")


def test_training_defaults_are_those_of_the_paper() -> None:
    """Methods section: Huber 0.1, 3:1:0.1:1, batch 64, Adam 1e-3 → 1e-5, 50 epochs."""
    settings = FineTuningSettings()

    assert settings.huber_delta == 0.1
    assert settings.loss_weights == LossWeights(
        energy=3, forces=1, stress=0.1, magmoms=1
    )
    assert (settings.batch_size, settings.epochs) == (64, 50)
    assert (settings.learning_rate, settings.final_learning_rate) == (1e-3, 1e-5)
    assert settings.gradient_points == 10


def test_structures_are_labelled_with_the_functional_of_the_paper_by_default() -> None:
    assert LabelSettings().input_set is InputSet.MP_R2SCAN


@pytest.mark.parametrize(
    ("target", "source", "mixed"),
    [
        ("gpaw_documents", "vasp", True),
        ("matpes", "gpaw_documents", True),
        ("gpaw_documents", "gpaw_documents", False),
        ("vasp", "matpes", False),
    ],
)
def test_labels_of_two_codes_are_not_aligned(
    target: str, source: str, *, mixed: bool
) -> None:
    """Each code has an energy scale of its own, which is no shift of functionals."""
    settings = {
        "name": "a",
        "dataset": {"source": {"kind": target, "paths": ["a"]}},
        "alignment": {"source": {"kind": source, "paths": ["b"]}},
    }
    if not mixed:
        assert StudySettings.model_validate(settings).alignment
        return
    with pytest.raises(ValidationError, match=r"alignment\.source: expected labels of"):
        StudySettings.model_validate(settings)


def test_limits_of_the_preflight_are_those_of_the_paper() -> None:
    settings = PreflightSettings()

    assert settings.n_train_frames == 1000
    assert settings.min_correlation == 0.8
    assert settings.max_gradient_ratio == 10


def test_relaxation_defaults_are_those_of_chgnet() -> None:
    """The paper does not state its settings; it used chgnet."""
    settings = RelaxationSettings()

    assert (settings.fmax, settings.max_steps) == (0.1, 500)
    assert settings.cell is CellDegrees.FULL
    assert settings.engine is RelaxationEngine.BATCHED
    assert not settings.fix_symmetry


def test_transfer_is_compared_with_scratch_above_a_thousand_frames() -> None:
    settings = ScalingLawSettings()

    assert settings.models == (Model.REFITTED_ATOM_REFS, Model.SCRATCH)
    assert settings.fit_above == 1000


def test_polymorphs_do_not_compete_by_default() -> None:
    assert StabilitySettings().competitors is Competitors.OTHER_COMPOSITIONS


def test_a_study_may_name_recipes_of_its_own() -> None:
    settings = StudySettings.model_validate(
        {"name": "a", "models": ["scratch", RECIPE]}
    )

    assert list(settings.recipes) == ["scratch", "my_row"]
    assert settings.recipes["my_row"] == RECIPES[Model.RESIDUAL_ATOM_REFS]
    stored = settings.model_dump(mode="json")
    assert StudySettings.model_validate(stored) == settings
    kept = {"adapter_rank": None, "anchor": None, "training_labels": "as_given"}
    assert stored["models"] == ["scratch", RECIPE | kept]


def test_a_study_has_every_model_and_stage_by_default() -> None:
    study = StudySettings(name="a")

    assert study.models == tuple(Model)
    assert all(getattr(study, stage) is not None for stage in STAGES)
