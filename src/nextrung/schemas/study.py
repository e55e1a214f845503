"""Settings and results of a study."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from nextrung.schemas.alignment import AlignmentCorrelations, AlignmentSettings
from nextrung.schemas.atom_refs import UnseenElements
from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.dataset import DatasetCounts, DatasetSettings
from nextrung.schemas.density import DensityErrors, DensitySettings
from nextrung.schemas.evaluation import EvaluationSettings, PropertyErrors
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.labels.curation import Rejection
from nextrung.schemas.labels.sources import CODES
from nextrung.schemas.models import (
    FinishedPotential,
    Model,
    ModelChoice,
    Recipe,
    find_recipe,
    name_potential,
)
from nextrung.schemas.physics import PhysicsSettings, PhysicsSummary
from nextrung.schemas.preflight import PreflightSettings
from nextrung.schemas.relaxation import RelaxationSettings
from nextrung.schemas.repeats import (
    BestModel,
    ModelDifference,
    ModelRepeats,
    RepeatSettings,
)
from nextrung.schemas.scaling_law import PropertyScaling, ScalingLawSettings
from nextrung.schemas.stability import StabilitySettings


class StudyRelaxationSettings(RelaxationSettings):
    """How all materials of a study are relaxed with every model."""

    materials_per_shard: int = Field(
        1000, ge=1, description="Approximate number of materials per relaxation job."
    )

    @property
    def of_each(self) -> RelaxationSettings:
        """Settings of the relaxation of each structure."""
        shared = self.model_dump(exclude={"materials_per_shard"})
        return RelaxationSettings.model_validate(shared)


class StudySettings(Record):
    """Settings of a study; a stage that is null is left out."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name of the study: letters, digits, dots, dashes, underscores.",
    )
    description: str = Field("", description="Purpose of the study, shown in reports.")
    source: str = Field(
        "chgnet-0.3.0",
        description="Source potential: a name, such as chgnet-0.3.0, or a checkpoint.",
    )
    dataset: DatasetSettings = Field(
        default_factory=DatasetSettings,
        description="Labels of the target functional, their curation and split.",
    )
    models: tuple[ModelChoice, ...] = Field(
        tuple(Model),
        min_length=1,
        description="Models to make and to compare: names of the table, or recipes "
        "with a name of their own.",
    )
    finished: tuple[str, ...] = Field(
        (),
        description="Finished potentials to score beside the models, such as "
        "`chgnet-r2scan`: names or checkpoints. They are neither re-referenced nor "
        "trained, and compared in energies only where their functional is that of the "
        "labels.",
    )
    unseen_elements: UnseenElements = Field(
        UnseenElements.ERROR,
        description="Elements of the source without training frames, in models with a "
        "residual shift: `error` leaves them without a reference energy, `prior` gives "
        "them the shift that similar elements suggest.",
    )
    training: FineTuningSettings = Field(
        default_factory=FineTuningSettings,
        description="Training of the models, those of the scaling law included.",
    )
    repeats: RepeatSettings = Field(
        default_factory=RepeatSettings,
        description="Seeds and splits on which every training is repeated.",
    )
    preflight: PreflightSettings = Field(
        default_factory=PreflightSettings,
        description="Short trainings and checks of `nextrung preflight`.",
    )
    evaluation: EvaluationSettings = Field(
        default_factory=EvaluationSettings, description="Which predictions are scored."
    )
    alignment: AlignmentSettings | None = Field(
        default_factory=AlignmentSettings,
        description="Comparison of source and target functional; null to leave it out.",
    )
    relaxation: StudyRelaxationSettings | None = Field(
        default_factory=StudyRelaxationSettings,
        description="Relaxation of all materials with every model; null to leave it "
        "out.",
    )
    stability: StabilitySettings | None = Field(
        default_factory=StabilitySettings,
        description="Decomposition energies of relaxed materials; needs `relaxation`; "
        "null to leave them out.",
    )
    density: DensitySettings | None = Field(
        default_factory=DensitySettings,
        description="Comparison of densities with experiment; null to leave it out.",
    )
    physics: PhysicsSettings | None = Field(
        None,
        description="Tests of the potential energy surface: elasticity, phonons, "
        "repulsion, dynamics, forgetting and fidelity; null to leave them out.",
    )
    scaling_law: ScalingLawSettings | None = Field(
        default_factory=ScalingLawSettings,
        description="Errors as a function of training set size; null to leave it out.",
    )

    @model_validator(mode="after")
    def _validate_stages(self) -> Self:
        """Validate that stability has relaxed energies, and that models are unique."""
        if self.stability and not self.relaxation:
            raise ValueError("stability needs relaxation: expected both or neither")
        if len(self.recipes) != len(self.models):
            raise ValueError("models: expected each model once")
        if self.training_seeds[0] != self.training.seed:
            raise ValueError(
                f"repeats.seeds: expected training.seed, {self.training.seed}, first, "
                f"got {self.training_seeds[0]}"
            )
        return self

    @model_validator(mode="after")
    def _validate_codes(self) -> Self:
        """Validate that labels of both functionals are of one code.

        Their difference would otherwise be that of the codes too, of which each has an
        energy scale of its own.
        """
        labels = self.alignment and self.alignment.source
        code = CODES.get(self.dataset.source.kind)
        other = CODES.get(labels.kind) if labels else None
        if code and other and code != other:
            raise ValueError(
                f"alignment.source: expected labels of {code}, as of dataset.source, "
                f"got labels of {other}"
            )
        return self

    @model_validator(mode="after")
    def _validate_finished(self) -> Self:
        """Validate that finished potentials have rows of their own."""
        names = [name_potential(potential) for potential in self.finished]
        made = {*Model, *self.recipes}
        if taken := sorted({n for n in names if n in made or names.count(n) > 1}):
            raise ValueError(
                f"finished: expected names of their own, got {', '.join(taken)} twice"
            )
        if self.source in self.finished:
            raise ValueError(
                "finished: expected other potentials than the source, which is the "
                f"model `source`, got {self.source}"
            )
        teacher = getattr(self.dataset.source, "teacher", None)
        if teacher in self.finished:
            raise ValueError(
                "finished: expected other potentials than the teacher of the labels, "
                f"whose errors are zero, got {teacher}"
            )
        return self

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Recipes by the names of the models."""
        return {str(model): find_recipe(model) for model in self.models}

    @property
    def finished_names(self) -> dict[str, str]:
        """Finished potentials by the names of their rows."""
        return {name_potential(potential): potential for potential in self.finished}

    @property
    def training_seeds(self) -> tuple[int, ...]:
        """Seeds of the trainings."""
        return self.repeats.seeds or (self.training.seed,)

    @property
    def split_seeds(self) -> tuple[int, ...]:
        """Seeds of the splits of the data."""
        first = self.dataset.split.seed
        return tuple(range(first, first + self.repeats.splits))


class DatasetSummary(DatasetCounts):
    """Numbers of kept and rejected frames, and some rejections."""

    n_rejected: dict[str, int] = Field(description="Rejected frames or files, by rule.")
    rejections: list[Rejection] = Field(
        description="First rejections by rules other than that on duplicates; the "
        "artifact `rejections` of the data set has all.",
    )


class StabilitySummary(Record):
    """Stability errors of one model."""

    competitors: str = Field(description="Which entries compete with an entry.")
    decomposition_energy_mae: float | None = Field(
        description="Decomposition energy MAE of test materials in eV/atom."
    )
    decomposition_energy_mae_all: float | None = Field(
        description="Decomposition energy MAE of all materials in eV/atom."
    )
    formation_energy_mae: float | None = Field(
        description="Formation energy MAE of all materials in eV/atom; labels and "
        "model each from their own elemental entries.",
    )
    formation_energy_mae_test: float | None = Field(
        description="Formation energy MAE of test materials in eV/atom; labels and "
        "model each from their own elemental entries.",
    )
    formation_energy_mae_target_references: float | None = Field(
        description="Formation energy MAE of all materials in eV/atom, both from the "
        "labels' elemental entries.",
    )
    decomposition_energy_mae_compounds: float | None = Field(
        None,
        description="Decomposition energy MAE of test materials without elements, "
        "eV/atom.",
    )
    decomposition_energy_baseline_mae: float | None = Field(
        None,
        description="MAE of predicting zero decomposition energies of test materials "
        "in eV/atom.",
    )
    formation_energy_baseline_mae: float | None = Field(
        None,
        description="MAE of predicting zero formation energies of all materials in "
        "eV/atom.",
    )
    f1: float | None = Field(description="F1 score of stability, all materials.")
    n_materials: int = Field(ge=0, description="Materials relaxed.")
    n_failed_relaxations: int = Field(ge=0, description="Relaxations without energy.")
    statuses: dict[str, int] = Field(description="Number of relaxations by status.")


class ModelSummary(Record):
    """All scores of one model; null where a stage was left out."""

    metrics: dict[str, PropertyErrors] = Field(description="Errors, by split.")
    stability: StabilitySummary | None = Field(description="Stability errors.")
    density: DensityErrors | None = Field(description="Density errors.")
    physics: PhysicsSummary | None = Field(
        None, description="Tests of the potential energy surface."
    )
    best_epoch: int | None = Field(description="Epoch of the checkpoint.")
    n_train_frames: int = Field(ge=0, description="Training frames used.")
    checkpoint: str = Field(description="Path relative to the artifacts folder.")
    checkpoint_sha256: str = Field(description="SHA-256 of the checkpoint.")


class AlignmentSummary(AlignmentCorrelations):
    """Correlations of source and target energies."""

    correlation_residual: float | None = Field(
        None,
        description="Pearson correlation with target references that are the source's "
        "plus a fit to labels minus predictions; null where source energies are "
        "calculated.",
    )
    source_energies: str = Field(description="`calculated` or `predicted`.")


class StudyResults(Record):
    """All results of a study; energies in eV/atom, forces eV/Å, stress GPa, μ_B."""

    study: str = Field(description="Name of the study.")
    labels: str = Field(description="Functional and origin of the labels.")
    source: str = Field(description="Source potential.")
    dataset: DatasetSummary = Field(description="Kept and rejected frames.")
    models: dict[str, ModelSummary] = Field(
        description="Scores, by model or finished potential."
    )
    finished: dict[str, FinishedPotential] = Field(
        default_factory=dict,
        description="Finished potentials among `models`, by name.",
    )
    repeats: dict[str, ModelRepeats] = Field(
        default_factory=dict,
        description="Errors of every repeat and their spread, by model; `models` has "
        "the scores of the first.",
    )
    best: dict[str, BestModel] = Field(
        default_factory=dict,
        description="Model with the lowest validation error, by property.",
    )
    differences: list[ModelDifference] = Field(
        default_factory=list,
        description="Differences of test errors on the same frames, materials and "
        "crystals: every model and every finished potential against baseline, source, "
        "scratch and the best model by "
        "validation.",
    )
    alignment: AlignmentSummary | None = Field(
        description="Comparison of source and target energies; null where left out."
    )
    scaling_law: dict[str, PropertyScaling] | None = Field(
        description="Power laws by error; null where left out."
    )
    jobs: dict[str, str] = Field(
        description="Job uuid of each document, by stage or by stage/model; "
        "stage/model/repeat for repeats but the first."
    )


class StudyDoc(TaskDoc):
    """Output of the last job of a study."""

    settings: StudySettings = Field(description="Settings of the study.")
    results: StudyResults = Field(description="Summary of all results.")
