"""Titles, colours and order of the models of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from nextrung.reports.html.elements import element
from nextrung.schemas.models import RECIPES, Model, Trained, TrainingLabels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.models import Recipe


@dataclass(frozen=True)
class Appearance:
    """Title and colour of a model.

    Parameters
    ----------
    title : str
        Title for readers.
    colour : str
        Colour of points and lines, legible on white and on black.
    """

    title: str
    colour: str


_KNOWN: Mapping[str, Appearance] = {
    Model.SOURCE: Appearance("Source, untouched", "#8b929c"),
    Model.SOURCE_REFIT: Appearance("Source, refitted atom refs", "#c09a4e"),
    Model.SOURCE_RESIDUAL: Appearance("Source, residual atom refs", "#77b5a4"),
    Model.SCRATCH: Appearance("1 · From scratch", "#ee8434"),
    Model.TRAINABLE_ATOM_REFS: Appearance("2 · Trainable atom refs", "#b068c9"),
    Model.FROZEN_ATOM_REFS: Appearance("3 · Frozen atom refs", "#dd4b63"),
    Model.REFITTED_ATOM_REFS: Appearance("4 · Refitted atom refs", "#3b86e0"),
    Model.RESIDUAL_ATOM_REFS: Appearance("Residual atom refs", "#17a589"),
}


#: Anchors of recipes, as templates of their weights.
_ANCHORS: Mapping[str, str] = {
    "l2": "L2 anchor of weight {0.weight:g}",
    "replay": "{0.fraction:g} replayed structures per frame, of weight {0.weight:g}",
}
#: Labels that a recipe chooses.
_LABELS: Mapping[TrainingLabels, str] = {
    TrainingLabels.ENERGIES: "energies",
    TrainingLabels.ENERGIES_SOURCE_FORCES: "energies, and forces of the source",
}
#: Colours of other potentials, chosen by name, so that every page shows the same.
_OTHERS = ("#8f7bd8", "#d0679d", "#5f9e4a", "#b3793f", "#4a9fc4", "#a3a33a")


def appearance(model: str) -> Appearance:
    """Return the title and colour of a model.

    Parameters
    ----------
    model : str
        Model of a study, or name of a potential.

    Returns
    -------
    Appearance
        Title and colour; any other potential keeps its name as title.
    """
    other = _OTHERS[crc32(model.encode()) % len(_OTHERS)]
    return _KNOWN.get(model, Appearance(model, other))


def model_cell(model: str, badge: str = "") -> Element:
    """Build the first cell of a model's row: colour, title and badge.

    Parameters
    ----------
    model : str
        Model of a study, or name of a potential.
    badge : str
        Functional of a finished potential; empty for none.
    """
    look = appearance(model)
    cell = element("th", colour_dot(look.colour), look.title, scope="row")
    if badge:
        cell[-1].tail = f"{look.title} "
        cell.append(element("span", badge, class_="badge"))
    return cell


def colour_dot(colour: str) -> Element:
    """Build a coloured dot.

    Parameters
    ----------
    colour : str
        Its colour.
    """
    return element("span", class_="dot", style=f"background:{colour}")


def in_order(models: Iterable[str]) -> list[str]:
    """Sort models in the paper's order, others after them by name.

    Parameters
    ----------
    models : iterable of str
        Models of a study, or names of potentials.
    """
    ranks = {model: rank for rank, model in enumerate(_KNOWN)}
    return sorted(models, key=lambda model: (ranks.get(model, len(ranks)), model))


def describe_recipe(recipe: Recipe) -> str:
    """Describe the trained weights of a recipe, its anchor and its labels.

    Parameters
    ----------
    recipe : Recipe
        Recipe of a model.

    Returns
    -------
    str
        Such as ``adapters of rank 4, L2 anchor of weight 0.1, labels: energies``;
        labels are named unless all that there are were trained on.
    """
    trained = recipe.trained.value.replace("_", " ")
    if recipe.adapter_rank is not None:
        trained += f" of rank {recipe.adapter_rank}"
    texts = [trained]
    if recipe.anchor is not None:
        texts.append(_ANCHORS[recipe.anchor.kind].format(recipe.anchor))
    if recipe.training_labels is not TrainingLabels.AS_GIVEN:
        texts.append(f"labels: {_LABELS[recipe.training_labels]}")
    return ", ".join(texts)


def transfers(model: str, recipes: Mapping[str, Recipe] = RECIPES) -> bool:
    """Check whether a model is trained from the weights of the source.

    Parameters
    ----------
    model : str
        Model of a study.
    recipes : mapping of str to Recipe
        Recipes by model; by default those of the table.

    Returns
    -------
    bool
        True for transfer learning; false for a model without a recipe.
    """
    recipe = recipes.get(model)
    if recipe is None:
        return False
    return recipe.pretrained and recipe.trained is not Trained.NOTHING
