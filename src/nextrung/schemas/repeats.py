"""Settings and results of repeated trainings: spread, differences, best models."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from nextrung.schemas.base import Record

#: Properties of frames by which models are compared.
PROPERTIES = ("energy", "forces", "stress", "magmoms")


class RepeatSettings(Record):
    """On which seeds and splits the trainings of a study are repeated."""

    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (),
        description="Seeds of the trainings, `training.seed` first; empty for that "
        "alone.",
    )
    splits: int = Field(
        1,
        ge=1,
        description="Number of splits of the data; their seeds are consecutive from "
        "`dataset.split.seed`, and reference energies are fitted to each.",
    )
    relaxation: bool = Field(
        default=False,
        description="Whether the models of every repeat are relaxed and their "
        "stability scored, or those of the first alone.",
    )

    @model_validator(mode="after")
    def _validate_seeds(self) -> Self:
        """Validate that no seed is trained twice."""
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: expected each once, got {self.seeds}")
        return self


class RepeatErrors(Record):
    """Errors of one model in one repeat, by property, in stored units."""

    seed: int | None = Field(description="Seed of the training; null without one.")
    split: int = Field(description="Seed of the split.")
    test: dict[str, float] = Field(
        description="Test errors: `energy` in eV/atom, `forces` in eV/Å, `stress` in "
        "GPa, `magmoms` in μ_B; of relaxed models `decomposition_energy` (test "
        "materials) and `formation_energy` (all materials) in eV/atom, and `density` "
        "in g/cm³."
    )
    val: dict[str, float] = Field(
        description="Validation errors of energy, forces, stress and magmoms."
    )
    baseline: dict[str, float] = Field(
        default_factory=dict,
        description="Test errors of the baseline on what the model was scored on.",
    )


class Spread(Record):
    """Mean and standard deviations of one error over repeats; null where unknown."""

    n_repeats: int = Field(ge=1, description="Repeats that have the error.")
    mean: float = Field(description="Mean over repeats.")
    std: float | None = Field(description="Standard deviation over all repeats.")
    std_seeds: float | None = Field(
        description="Standard deviation over the seeds of a split, pooled over splits."
    )
    std_splits: float | None = Field(
        description="Standard deviation over splits of a seed, pooled over seeds."
    )


class ModelRepeats(Record):
    """Repeats of one model, and the spread of its test errors."""

    repeats: list[RepeatErrors] = Field(description="Errors of each repeat.")
    spread: dict[str, Spread] = Field(description="Spread of test errors, by property.")


class BestModel(Record):
    """Model with the lowest validation error of one property, means over repeats."""

    model: str = Field(description="The model.")
    val_error: float = Field(description="Validation error, by which it was chosen.")
    test_error: float | None = Field(
        description="Test error; null without test frames."
    )


class ModelDifference(Record):
    """Test error of one model beside that of another, on the same frames."""

    property: str = Field(
        description="`energy`, `forces`, `stress`, `magmoms`, `decomposition_energy`, "
        "`formation_energy` or `density`."
    )
    model: str = Field(description="The model.")
    reference: str = Field(
        description="The model it is compared with, or `baseline`: zero, or the atomic "
        "references alone."
    )
    difference: float = Field(
        description="Error of the model minus that of the reference, mean over "
        "repeats, in the unit of the property; below zero where the model is better."
    )
    low: float = Field(
        description="Low end of the 95 % interval: that of the ratio, less one, times "
        "the error of the reference."
    )
    high: float = Field(description="High end of the 95 % interval.")
    ratio: float | None = Field(
        None,
        description="Error of the model over that of the reference, geometric mean "
        "over repeats.",
    )
    ratio_low: float | None = Field(
        None, description="Low end of the 95 % interval of the ratio."
    )
    ratio_high: float | None = Field(
        None, description="High end of the 95 % interval of the ratio."
    )
    p_value: float = Field(description="Two-sided p-value of no difference.")
    p_adjusted: float = Field(
        description="p-value adjusted after Holm for all models compared with this "
        "reference by this property."
    )
    significant: bool = Field(description="Whether the adjusted p-value is below 0.05.")
    n_materials: int = Field(ge=1, description="Test materials compared.")
    n_repeats: int = Field(ge=1, description="Repeats compared.")


def is_repeat(part: str) -> bool:
    """Check whether a part of a study belongs to another repeat than the first.

    Parameters
    ----------
    part : str
        Name of the part, such as ``evaluation/scratch/seed=1,split=0``.
    """
    return "split=" in part.rpartition("/")[2]


def parse_repeat(part: str) -> tuple[int | None, int]:
    """Read the seeds of the training and of the split from the name of a part.

    Parameters
    ----------
    part : str
        Name of a part of another repeat than the first.

    Returns
    -------
    tuple of int or None
        Seed of the training, None without one, and seed of the split.
    """
    seeds = dict(each.split("=") for each in part.rpartition("/")[2].split(","))
    seed = seeds.get("seed")
    return None if seed is None else int(seed), int(seeds["split"])
