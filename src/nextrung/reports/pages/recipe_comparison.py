"""Page of a comparison of recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    element,
    format_count,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance, in_order, model_cell
from nextrung.reports.html.quantities import PROPERTIES
from nextrung.reports.pages.page import build_header, write_page
from nextrung.reports.sections.section import Section

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from nextrung.schemas.recipe_comparison import RecipeComparisonDoc


def write_recipe_comparison(document: RecipeComparisonDoc, path: Path) -> None:
    """Write the comparison of the recipes of a study as a page.

    Parameters
    ----------
    document : RecipeComparisonDoc
        The comparison.
    path : Path
        The HTML file, replaced atomically.
    """
    names = [
        name
        for name in PROPERTIES
        if any(name in found.test for found in document.recipes.values())
    ]
    blocks = (
        element("p", describe_choice(document), class_="verdict"),
        _describe_budget(document),
        _list_recipes(document, names),
        element("h3", "Test errors relative to the untouched source"),
        _list_differences(document),
        element("h3", "Choice by validation errors in each fold"),
        _describe_procedure(),
        _list_choices(document, names),
    )
    header = build_header("recipes", document.study, [document.labels])
    section = Section("recipes", "Comparison of recipes", blocks)
    write_page(path, f"{document.study} comparison", header=header, sections=[section])


def describe_choice(document: RecipeComparisonDoc) -> str:
    """Describe the recommended recipe, or why there is none, in one sentence.

    Parameters
    ----------
    document : RecipeComparisonDoc
        The comparison.
    """
    choice = document.choice
    if choice.recommended is None:
        return (
            f"No recipe is recommended for this data set. {choice.candidate} has the "
            f"lowest validation errors: {choice.reason}."
        )
    return f"Recommended for this data set: {choice.recommended}; {choice.reason}."


def _describe_budget(document: RecipeComparisonDoc) -> Element:
    """Describe the folds and the budget of every training."""
    folds = document.settings.folds
    text = (
        f"{format_count(document.n_frames, 'frame')} of "
        f"{format_count(document.n_materials, 'material')} in {folds} folds. Each fold "
        "is the test set once, the next one the validation set, by which the epoch is "
        f"chosen; every recipe trains {format_count(document.epochs, 'epoch')} on the "
        "rest."
    )
    return element("p", text)


def _list_recipes(document: RecipeComparisonDoc, names: list[str]) -> Element:
    """List the errors and the cost of every recipe."""
    rows = [
        row(
            model_cell(model),
            number(document.recipes[model].val_score, 3),
            *(
                PROPERTIES[name].cell(
                    document.recipes[model].test.get(name), "no label"
                )
                for name in names
            ),
            number(document.recipes[model].processor_time, 1, reason="not stored"),
            number(document.recipes[model].wall_time, 1),
        )
        for model in in_order(document.recipes)
    ]
    titles = numeric(
        "Validation errors over the source's",
        *(f"Test MAE, {PROPERTIES[name].heading}" for name in names),
        "Processor time per training (s)",
        "Wall time per training (s)",
    )
    return table(["Recipe", *titles], rows)


def _list_differences(document: RecipeComparisonDoc) -> Element:
    """List the paired differences of test errors from the source."""
    rows = [
        row(
            model_cell(each.model),
            PROPERTIES[each.property].title,
            PROPERTIES[each.property].cell(
                each.difference, interval=(each.low, each.high)
            ),
            number(each.ratio, 2),
            number(each.p_adjusted, 4),
            number(each.n_materials),
        )
        for each in document.differences
        if each.property in PROPERTIES
    ]
    titles = numeric(
        "Difference, 95 % interval (meV/atom, meV/Å, GPa, μ_B)",
        "Ratio",
        "p, adjusted",
        "Materials",
    )
    return table(["Recipe", "Property", *titles], rows)


def _describe_procedure() -> Element:
    """Describe what the errors of the choice by validation mean."""
    return element(
        "p",
        "The last row is the test error of choosing the recipe by validation errors, "
        "mean over folds: what to expect of the procedure on new materials. The lowest "
        "test error of the table above is lower by chance alone the more recipes there "
        "are.",
    )


def _list_choices(document: RecipeComparisonDoc, names: list[str]) -> Element:
    """List the recipe of the lowest validation errors in each fold."""
    rows = [
        row(
            f"{choice.split % document.settings.folds + 1}",
            appearance(choice.model).title,
            *(PROPERTIES[n].cell(choice.test.get(n), "no label") for n in names),
        )
        for choice in document.choices
    ]
    errors = document.choice_errors
    rows.append(
        row(
            "mean",
            "chosen in each fold",
            *(PROPERTIES[n].cell(errors.get(n), "no label") for n in names),
        )
    )
    titles = numeric(*(f"Test MAE, {PROPERTIES[name].heading}" for name in names))
    return table(["Fold", "Recipe", *titles], rows)
