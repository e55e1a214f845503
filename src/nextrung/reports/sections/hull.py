"""Hull explorer: hulls of labels and models for any chemical system."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pymatgen.core import Composition

from nextrung.reports.html.elements import element, embed_json
from nextrung.reports.html.model_style import appearance
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.schemas.stability import StabilityDoc, StabilityRecord

#: Known systems that the error on an unknown one names.
N_NEAREST = 3


def build_explorer(
    documents: Mapping[str, StabilityDoc], systems: Sequence[str]
) -> Element:
    """Build the hull explorer, which a script of the page draws.

    Parameters
    ----------
    documents : mapping of str to StabilityDoc
        Documents by model; at least one.
    systems : sequence of str
        Chemical systems to suggest; the first one is shown first.

    Returns
    -------
    Element
        Fields for system and model, and a plot for two to four elements: the hull of
        the labels beside the hull of the model.
    """
    search = element(
        "input",
        list="hull-systems",
        value=systems[0] if systems else "",
        class_="system",
        autocomplete="off",
        spellcheck="false",
    )
    titles = [appearance(model).title for model in documents]
    menu = element("select", *(element("option", title) for title in titles))
    menu[-1].set("selected", "")
    suggestions = (element("option", value=name) for name in systems)
    return element(
        "div",
        element("label", "Chemical system ", search, class_="views"),
        element("label", "Model ", menu, class_="views"),
        element("datalist", *suggestions, id="hull-systems"),
        element("p", class_="hull-note"),
        element("div", class_="hull-plot", style="height:460px"),
        embed_json(_collect_energies(documents)),
        class_="explorer",
        id="hull-explorer",
    )


def rank_systems(rows: Sequence[StabilityRecord]) -> list[str]:
    """Sort the systems of two or more elements by their number of materials.

    Parameters
    ----------
    rows : sequence of StabilityRecord
        Materials of a study.

    Returns
    -------
    list of str
        Chemical systems, those with most materials first.
    """
    counts = Counter(row.chemical_system for row in rows)
    compounds = [name for name in counts if "-" in name]
    return sorted(compounds, key=lambda name: (-counts[name], name))


def list_within(
    rows: Sequence[StabilityRecord], elements: Sequence[str]
) -> list[StabilityRecord]:
    """List the materials that contain no other element.

    Parameters
    ----------
    rows : sequence of StabilityRecord
        Materials of a study.
    elements : sequence of str
        Symbols of the system.

    Returns
    -------
    list of StabilityRecord
        Materials of the system and of its subsystems, in order.
    """
    return [
        row for row in rows if set(row.chemical_system.split("-")).issubset(elements)
    ]


def parse_system(name: str, rows: Sequence[StabilityRecord]) -> list[str]:
    """Parse a chemical system and check it against the materials of a study.

    Parameters
    ----------
    name : str
        Symbols joined by hyphens, in any order.
    rows : sequence of StabilityRecord
        Materials of the study.

    Returns
    -------
    list of str
        The symbols in the same order.

    Raises
    ------
    InputError
        If an element of the system occurs in no material of the system.
    """
    elements = list(dict.fromkeys(symbol.strip() for symbol in name.split("-")))
    inside = {row.chemical_system for row in list_within(rows, elements)}
    held = {symbol for system in inside for symbol in system.split("-")}
    if held == set(elements):
        return elements
    known = sorted({row.chemical_system for row in rows})
    nearest = get_close_matches("-".join(sorted(elements)), known, N_NEAREST, cutoff=0)
    missing = ", ".join(symbol for symbol in elements if symbol not in held)
    raise InputError(
        f"chemical system {name}: expected elements of the study's materials, got "
        f"{missing or 'none'}; nearest: {', '.join(nearest) or 'none'}"
    )


def _collect_energies(documents: Mapping[str, StabilityDoc]) -> dict[str, object]:
    """Collect formation energies and energies above the hull in meV/atom."""
    rows = next(iter(documents.values())).rows
    predictions = {}
    for model, document in documents.items():
        found = {
            row.material_id: _convert(
                row.predicted_formation_energy, row.predicted_energy_above_hull
            )
            for row in document.rows
        }
        predictions[appearance(model).title] = [
            found.get(row.material_id, [None, None]) for row in rows
        ]
    return {
        "materials": [row.material_id for row in rows],
        "formulas": [row.formula for row in rows],
        "fractions": [
            Composition(row.formula).fractional_composition.as_dict() for row in rows
        ],
        "labels": [
            _convert(row.target_formation_energy, row.target_energy_above_hull)
            for row in rows
        ],
        "models": predictions,
    }


def _convert(*energies: float | None) -> list[float | None]:
    """Convert eV/atom to meV/atom, rounded to one decimal."""
    return [None if energy is None else round(1000 * energy, 1) for energy in energies]
