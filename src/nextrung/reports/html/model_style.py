"""How the models of a study are called and coloured wherever they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextrung.reports.html.elements import element
from nextrung.schemas.models import RECIPES, Model, Trained

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from xml.etree.ElementTree import Element


@dataclass(frozen=True)
class Appearance:
    """Name and colour of a model.

    Parameters
    ----------
    title : str
        Name for readers.
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


def appearance(model: str) -> Appearance:
    """Say how a model is called and coloured.

    Parameters
    ----------
    model : str
        Model of a study, or name of a potential.

    Returns
    -------
    Appearance
        Name and colour; a potential that is no model of a study keeps its name.
    """
    return _KNOWN.get(model, Appearance(model, "#8b929c"))


def model_cell(model: str) -> Element:
    """Name a model beside its colour, as the head of a row.

    Parameters
    ----------
    model : str
        Model of a study, or name of a potential.

    Returns
    -------
    Element
        A ``th``.
    """
    look = appearance(model)
    return element("th", colour_dot(look.colour), look.title, scope="row")


def colour_dot(colour: str) -> Element:
    """Draw a dot.

    Parameters
    ----------
    colour : str
        Its colour.

    Returns
    -------
    Element
        A ``span``.
    """
    return element("span", class_="dot", style=f"background:{colour}")


def in_order(models: Iterable[str]) -> list[str]:
    """Sort models as the paper numbers them, others behind by name.

    Parameters
    ----------
    models : iterable of str
        Models of a study, or names of potentials.

    Returns
    -------
    list of str
        The same models in order.
    """
    places = {model: place for place, model in enumerate(_KNOWN)}
    return sorted(models, key=lambda model: (places.get(model, len(places)), model))


def transfers(model: str) -> bool:
    """Say whether a model is trained from the weights of the source.

    Parameters
    ----------
    model : str
        Model of a study.

    Returns
    -------
    bool
        True for what the paper calls transfer learning.
    """
    if model not in _KNOWN:
        return False
    recipe = RECIPES[Model(model)]
    return recipe.pretrained and recipe.trained is not Trained.NOTHING
