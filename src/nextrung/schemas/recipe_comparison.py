"""Settings and results of the comparison of recipes by nested cross-validation."""

from __future__ import annotations

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.models import Recipe
from nextrung.schemas.repeats import ModelDifference


class RecipeComparisonSettings(Record):
    """How recipes are compared."""

    folds: int = Field(
        5,
        ge=3,
        le=100,
        description="Folds of the materials: each is the test set of one training of "
        "every recipe, the next one its validation set, the others its training set.",
    )


class RecipeSummary(Record):
    """Errors and cost of one recipe, means over folds and seeds."""

    recipe: Recipe = Field(description="The recipe.")
    val: dict[str, float] = Field(
        description="Validation errors: energy in eV/atom, forces in eV/Å, stress in "
        "GPa, magmoms in μ_B."
    )
    test: dict[str, float] = Field(description="Test errors in the same units.")
    val_score: float = Field(
        ge=0,
        description="Validation errors over those of the source, geometric mean over "
        "energy, forces, stress and folds.",
    )
    processor_time: float | None = Field(
        None,
        ge=0,
        description="Processor time of one training in s, threads and processes that "
        "ended added up; null where it was not stored.",
    )
    wall_time: float = Field(ge=0, description="Wall time of one training in s.")


class FoldChoice(Record):
    """Recipe of the lowest validation errors in one fold, and its test errors."""

    split: int = Field(ge=0, description="Seed of the split that has the fold.")
    model: str = Field(description="Name of the recipe.")
    test: dict[str, float] = Field(description="Its test errors, by property.")


class RecipeChoice(Record):
    """Recommended recipe for a data set."""

    candidate: str = Field(description="Recipe of the lowest `val_score`.")
    recommended: str | None = Field(
        description="The candidate where its test errors confirm it; else null."
    )
    reason: str = Field(description="Why it is recommended, or none is.")


class RecipeComparison(Record):
    """Recipes of a study compared by nested cross-validation over materials."""

    recipes: dict[str, RecipeSummary] = Field(description="Recipes by name.")
    differences: list[ModelDifference] = Field(
        description="Test errors of every recipe beside those of the source, paired "
        "over materials and folds."
    )
    choices: list[FoldChoice] = Field(
        description="Choice by validation errors in each fold."
    )
    choice_errors: dict[str, float] = Field(
        description="Test errors of choosing by validation errors, mean over folds: "
        "what to expect of the procedure, free of the optimism of the best test error."
    )
    choice: RecipeChoice = Field(description="Recommendation for this data set.")


class RecipeComparisonDoc(RecipeComparison, TaskDoc):
    """Output of :class:`~nextrung.makers.recipes.summary.RecipeSummaryMaker`."""

    study: str = Field(description="Name of the study with one split per fold.")
    labels: str = Field(description="Functional and origin of the labels.")
    source: str = Field(description="Source potential.")
    settings: RecipeComparisonSettings = Field(description="Settings of the job.")
    n_materials: int = Field(ge=0, description="Materials of the data set.")
    n_frames: int = Field(ge=0, description="Frames of the data set.")
    epochs: int = Field(
        ge=0, description="Epochs of every training, the budget that recipes share."
    )
