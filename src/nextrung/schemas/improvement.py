"""Improvement loop: settings, rounds, chosen candidates and their labels."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nextrung.schemas.base import Artifact, Record, TaskDoc
from nextrung.schemas.dataset import DatasetDoc, DatasetSettings, SplitSettings
from nextrung.schemas.labels.gpaw import GpawSettings
from nextrung.schemas.labels.labelling import LabelSettings
from nextrung.schemas.models import Model, ModelChoice


class Strategy(StrEnum):
    """How the structures of a round are chosen."""

    EXPECTED_GAIN = "expected_gain"
    RANDOM = "random"


class StopReason(StrEnum):
    """Why a loop ended."""

    TARGET_REACHED = "target_reached"
    BUDGET_SPENT = "budget_spent"
    POOL_EMPTY = "pool_empty"
    OUT_OF_REACH = "out_of_reach"


class PotentialLabels(Record):
    """Labels predicted by a potential."""

    kind: Literal["potential"] = "potential"
    potential: str = Field(
        "chgnet-r2scan", description="Name of a potential, or a checkpoint."
    )


class GpawLabels(Record):
    """Labels calculated with GPAW."""

    kind: Literal["gpaw"] = "gpaw"
    calculation: GpawSettings = Field(
        default_factory=GpawSettings, description="Settings of the calculations."
    )


class VaspLabels(Record):
    """Labels calculated with VASP."""

    kind: Literal["vasp"] = "vasp"
    calculation: LabelSettings = Field(
        default_factory=LabelSettings, description="Settings of the calculations."
    )


LabelEngine = Annotated[
    PotentialLabels | GpawLabels | VaspLabels, Field(discriminator="kind")
]


class ImprovementSettings(Record):
    """Which structures are labelled, round by round, and when the loop ends."""

    engine: LabelEngine = Field(
        default_factory=GpawLabels, description="What labels the chosen structures."
    )
    budget: int = Field(32, ge=1, description="Most labels of all rounds together.")
    batch: int = Field(8, ge=1, description="Labels per round.")
    target: float = Field(
        0.02,
        gt=0,
        description="Energy MAE of the held-out frames in eV/atom at which it ends.",
    )
    strategy: Strategy = Field(
        Strategy.EXPECTED_GAIN, description="How the structures are chosen."
    )
    model: ModelChoice = Field(
        Model.RESIDUAL_ATOM_REFS,
        description="Model of the study that is trained in every round.",
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0, 1, 2),
        min_length=1,
        description="Seeds of the trainings of a round, a committee; a model without "
        "training has one member.",
    )
    split: Literal["val", "test"] = Field(
        "test", description="Split whose error is compared with the target."
    )
    seed: int = Field(0, ge=0, description="Seed of the strategy `random`.")

    @model_validator(mode="after")
    def _validate_choices(self) -> Self:
        """Validate that a batch can be paid for, and that no seed is trained twice."""
        if self.budget < self.batch:
            raise ValueError(
                f"budget: expected at least one batch of {self.batch} labels, got "
                f"{self.budget}"
            )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: expected each once, got {self.seeds}")
        return self


class LabelAdditionSettings(Record):
    """How labels of a round are made and curated."""

    engine: LabelEngine = Field(
        default_factory=GpawLabels, description="What labels the structures."
    )
    dataset: DatasetSettings = Field(
        default_factory=DatasetSettings,
        description="Data set of the study, whose rules the labels must satisfy.",
    )


class ExcludedCandidate(Record):
    """Structure of the pool that is never chosen."""

    frame_id: str = Field(description="Id of the structure.")
    material_id: str = Field(description="Its material.")
    reason: str = Field(description="Why it is left out.")


class PoolDoc(TaskDoc):
    """Structures that can be chosen."""

    settings: SplitSettings = Field(
        description="Split of the study, whose held-out materials are left out."
    )
    n_structures: int = Field(ge=0, description="Structures of the pool.")
    n_candidates: int = Field(ge=0, description="Structures that can be chosen.")
    n_held_out: int = Field(
        ge=0, description="Structures left out as materials of the held-out splits."
    )
    excluded: list[ExcludedCandidate] = Field(description="Structures left out.")
    candidates: Artifact = Field(description="Structures to choose from, Parquet.")


class ChosenCandidate(Record):
    """Structure chosen to be labelled, with the numbers that it was chosen by."""

    rank: int = Field(ge=1, description="Place in the order of choice in the round.")
    frame_id: str = Field(description="Id of the structure.")
    material_id: str = Field(description="Its material.")
    formula: str = Field(description="Reduced formula.")
    n_atoms: int = Field(ge=1, description="Atoms of the cell.")
    leverage: float = Field(
        description="Leverage of its composition given the structures labelled and "
        "chosen before it."
    )
    disagreement: float = Field(
        description="Standard deviation of the energies of the committee in eV/atom."
    )
    force_disagreement: float | None = Field(
        description="Largest standard deviation of the force on an atom in eV/Å; null "
        "where the committee has one member or no prediction."
    )
    distance: float | None = Field(
        description="Distance to the nearest structure labelled or chosen before it, "
        "in composition fractions and nm³/atom; null for the first of all."
    )
    expected_gain: float | None = Field(
        description="Expected drop of the root-mean-square error of the pool in "
        "eV/atom by its label; null where it is unknown."
    )


class LabelOutcome(Record):
    """Label of one structure, or why it has none."""

    frame_id: str = Field(description="Id of the structure.")
    material_id: str = Field(description="Its material.")
    n_frames: int = Field(ge=0, description="Frames that joined the data set.")
    energy_per_atom: float | None = Field(
        description="Labelled energy in eV/atom; null for a failure."
    )
    error: str | None = Field(
        None, description="Why the label failed or was rejected; null where it joined."
    )


class LabelledDatasetDoc(DatasetDoc):
    """Data set of a study with the labels of a round in training."""

    addition: LabelAdditionSettings = Field(description="Settings of the stage.")
    outcomes: list[LabelOutcome] = Field(description="Labels of the round.")


class CommitteeMember(Record):
    """Errors of one training of a round on the held-out split."""

    seed: int | None = Field(description="Seed of the training; null without one.")
    energy_mae: float = Field(description="Energy MAE in eV/atom.")
    forces_mae: float | None = Field(description="Forces MAE in eV/Å.")
    n_failed: int = Field(ge=0, description="Held-out frames without a prediction.")


class ImprovementRound(Record):
    """Labels of a round, errors of the models trained with them, and the next choice.

    Round 0 has no labels: it scores the models of the data set of the study.
    """

    number: int = Field(ge=0, description="Number of the round.")
    labels: list[LabelOutcome] = Field(description="Labels that the round got.")
    n_labels: int = Field(ge=0, description="Labels spent so far, failed ones too.")
    n_failed: int = Field(ge=0, description="Labels that failed so far.")
    n_train_frames: int = Field(ge=0, description="Frames of the training split.")
    n_train_materials: int = Field(ge=0, description="Materials of these frames.")
    members: list[CommitteeMember] = Field(
        min_length=1, description="Errors of each training."
    )
    energy_mae: float = Field(description="Mean energy MAE of the members in eV/atom.")
    low: float | None = Field(
        description="Lower end of its 95 % interval over materials and trainings; "
        "null below five materials."
    )
    high: float | None = Field(description="Upper end.")
    n_held_out_frames: int = Field(ge=1, description="Frames that it is a mean of.")
    n_held_out_materials: int = Field(ge=1, description="Materials of these frames.")
    n_candidates: int = Field(ge=0, description="Structures left to choose from.")
    n_unpredictable: int = Field(
        0,
        ge=0,
        description="Of these, structures of labelled elements without a prediction, "
        "which are not chosen.",
    )
    chosen: list[ChosenCandidate] = Field(
        description="Structures to label next; empty where the loop ends."
    )
    wall_time: float = Field(
        ge=0,
        description="Duration in s of the jobs of the round: labels, trainings, "
        "scores; without calculations of DFT codes.",
    )


class ImprovementDoc(TaskDoc):
    """Rounds of a loop so far; the last document of a loop says why it ended."""

    study: str = Field(description="Name of the study.")
    settings: ImprovementSettings = Field(description="Settings of the loop.")
    labels: str = Field(description="Functional and origin of the labels.")
    held_out: str = Field(
        description="Hash of ids and energies of the held-out frames; runs with the "
        "same are compared on the same frames."
    )
    rounds: list[ImprovementRound] = Field(
        min_length=1, description="Rounds, from round 0 on."
    )
    n_structures: int = Field(ge=0, description="Structures of the pool.")
    n_held_out_structures: int = Field(
        ge=0,
        description="Structures of the pool left out as materials of held-out splits.",
    )
    batch: Artifact | None = Field(
        None, description="Structures to label next, Parquet; null where it ends."
    )
    stop: StopReason | None = Field(
        None, description="Why the loop ended; null where it goes on."
    )
    reason: str = Field("", description="The same in one sentence, with figures.")
