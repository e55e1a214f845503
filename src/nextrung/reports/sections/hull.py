"""The hull explorer: any chemical system, drawn by the page itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pymatgen.core import Composition

from nextrung.reports.html.elements import element, embed_json
from nextrung.reports.html.model_style import appearance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.schemas.stability import StabilityDoc, StabilityRecord


def explore_hull(documents: Mapping[str, StabilityDoc]) -> Element:
    """Offer the formation energies of every chemical system.

    Parameters
    ----------
    documents : mapping of str to StabilityDoc
        Documents by model; at least one.

    Returns
    -------
    Element
        A chooser of system and model, a plot for two or three elements, a table for
        any number; a script of the page fills them.
    """
    systems = _rank_systems(next(iter(documents.values())).rows)
    models = [appearance(model).title for model in documents]
    search = element(
        "input",
        list="hull-systems",
        value=systems[0] if systems else "",
        class_="system",
        autocomplete="off",
        spellcheck="false",
    )
    chooser = element("select", *(element("option", title) for title in models))
    chooser[-1].set("selected", "")
    return element(
        "div",
        element("h3", "Hull explorer"),
        element("label", "Chemical system ", search, class_="views"),
        element("label", "Model ", chooser, class_="views"),
        element("datalist", *(_option(name) for name in systems), id="hull-systems"),
        element("p", class_="hull-note"),
        element("div", class_="hull-plot", style="height:400px"),
        element("div", class_="hull-table scroll"),
        embed_json(_describe(documents)),
        class_="explorer",
        id="hull-explorer",
    )


def _option(name: str) -> Element:
    """Offer a chemical system."""
    return element("option", value=name)


def _rank_systems(rows: Sequence[StabilityRecord]) -> list[str]:
    """Sort the systems of two and more elements, those with most materials first."""
    counts = Counter(row.chemical_system for row in rows)
    compounds = [name for name in counts if "-" in name]
    return sorted(compounds, key=lambda name: (-counts[name], name))


def _describe(documents: Mapping[str, StabilityDoc]) -> dict[str, object]:
    """Collect what the page needs of labels and models, energies in meV/atom."""
    rows = next(iter(documents.values())).rows
    places = {row.material_id: place for place, row in enumerate(rows)}
    predictions: dict[str, list[list[float | None]]] = {}
    for model, document in documents.items():
        values: list[list[float | None]] = [[None, None] for _ in rows]
        for row in document.rows:
            values[places[row.material_id]] = [
                _shorten(row.predicted_formation_energy),
                _shorten(row.predicted_energy_above_hull),
            ]
        predictions[appearance(model).title] = values
    return {
        "materials": [row.material_id for row in rows],
        "formulas": [row.formula for row in rows],
        "fractions": [
            Composition(row.formula).fractional_composition.as_dict() for row in rows
        ],
        "labels": [
            [
                _shorten(row.target_formation_energy),
                _shorten(row.target_energy_above_hull),
            ]
            for row in rows
        ],
        "models": predictions,
    }


def _shorten(energy: float | None) -> float | None:
    """Round an energy in eV/atom to a tenth of a meV/atom, in meV/atom."""
    return None if energy is None else round(1000 * energy, 1)
