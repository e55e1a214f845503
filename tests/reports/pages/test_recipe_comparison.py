"""The page of a comparison of recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.made_up_study import make_provenance

from nextrung.reports.pages.recipe_comparison import (
    describe_choice,
    write_recipe_comparison,
)
from nextrung.schemas.models import RECIPES
from nextrung.schemas.recipe_comparison import (
    FoldChoice,
    RecipeChoice,
    RecipeComparisonDoc,
    RecipeComparisonSettings,
    RecipeSummary,
)
from nextrung.schemas.repeats import ModelDifference

if TYPE_CHECKING:
    from pathlib import Path


def make_document(recommended: str | None) -> RecipeComparisonDoc:
    """A comparison of two recipes in three folds."""
    recipes = {
        name: RecipeSummary(
            recipe=RECIPES[name],
            val={"energy": error},
            test={"energy": error, "forces": 0.1},
            val_score=error / 0.4,
            processor_time=12.5 if name != "source" else None,
            wall_time=3.0,
        )
        for name, error in (("source", 0.4), ("residual_atom_refs", 0.05))
    }
    difference = ModelDifference(
        property="energy",
        model="residual_atom_refs",
        reference="source",
        difference=-0.35,
        low=-0.37,
        high=-0.33,
        ratio=0.125,
        p_value=0.001,
        p_adjusted=0.002,
        significant=True,
        n_materials=30,
        n_repeats=3,
    )
    return RecipeComparisonDoc(
        recipes=recipes,
        differences=[difference],
        choices=[
            FoldChoice(split=s, model="residual_atom_refs", test={"energy": 0.05})
            for s in (3, 4, 5)
        ],
        choice_errors={"energy": 0.06},
        choice=RecipeChoice(
            candidate="residual_atom_refs", recommended=recommended, reason="because"
        ),
        study="demo_recipes",
        labels="r2SCAN (VASP)",
        source="chgnet-0.3.0",
        settings=RecipeComparisonSettings(folds=3),
        n_materials=30,
        n_frames=90,
        epochs=7,
        provenance=make_provenance("recipes"),
    )


def test_the_page_shows_recommendation_errors_intervals_and_cost(
    tmp_path: Path,
) -> None:
    path = tmp_path / "recipes.html"
    write_recipe_comparison(make_document("residual_atom_refs"), path)

    page = path.read_text()
    assert "Recommended for this data set: residual_atom_refs; because." in page
    assert "90 frames of 30 materials in 3 folds" in page
    assert "every recipe trains 7 epochs" in page
    assert "-370.0 to -330.0" in page.replace("−", "-")
    assert '<data value="12.5">12.5</data>' in page
    assert 'title="not stored"' in page
    assert '<data value="0.06">60.0</data>' in page


def test_without_evidence_no_recipe_is_recommended() -> None:
    text = describe_choice(make_document(None))

    assert text.startswith("No recipe is recommended for this data set.")
    assert "Recommended" not in text
