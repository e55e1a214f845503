"""Hull explorer: hulls of labels and models for any chemical system."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition

from nextrung.reports.html.elements import element, embed_json
from nextrung.reports.html.model_style import appearance
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

    from nextrung.schemas.stability.table import LoadedStability, StabilityTable

#: Known systems that the error on an unknown one names.
N_NEAREST = 3


def build_explorer(
    documents: Mapping[str, LoadedStability], systems: Sequence[str]
) -> Element:
    """Build the hull explorer, which a script of the page draws.

    Parameters
    ----------
    documents : mapping of str to LoadedStability
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


def rank_systems(rows: StabilityTable) -> list[str]:
    """Sort the systems of two or more elements by their number of materials.

    Parameters
    ----------
    rows : StabilityTable
        Materials of a study.

    Returns
    -------
    list of str
        Chemical systems, those with most materials first.
    """
    counts = Counter(rows.chemical_system.tolist())
    compounds = [name for name in counts if "-" in name]
    return sorted(compounds, key=lambda name: (-counts[name], name))


def select_within(rows: StabilityTable, elements: Sequence[str]) -> StabilityTable:
    """Select the materials that contain no other element.

    Parameters
    ----------
    rows : StabilityTable
        Materials of a study.
    elements : sequence of str
        Symbols of the system.

    Returns
    -------
    StabilityTable
        Materials of the system and of its subsystems, in order.
    """
    systems, kinds = np.unique(rows.chemical_system, return_inverse=True)
    inside = [set(system.split("-")).issubset(elements) for system in systems.tolist()]
    return rows.take(np.array(inside, dtype=np.bool_)[kinds])


def parse_system(name: str, rows: StabilityTable) -> list[str]:
    """Parse a chemical system and check it against the materials of a study.

    Parameters
    ----------
    name : str
        Symbols joined by hyphens, in any order.
    rows : StabilityTable
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
    inside = set(select_within(rows, elements).chemical_system.tolist())
    held = {symbol for system in inside for symbol in system.split("-")}
    if held == set(elements):
        return elements
    known = sorted(set(rows.chemical_system.tolist()))
    nearest = get_close_matches("-".join(sorted(elements)), known, N_NEAREST, cutoff=0)
    missing = ", ".join(symbol for symbol in elements if symbol not in held)
    raise InputError(
        f"chemical system {name}: expected elements of the study's materials, got "
        f"{missing or 'none'}; nearest: {', '.join(nearest) or 'none'}"
    )


def _collect_energies(documents: Mapping[str, LoadedStability]) -> dict[str, object]:
    """Collect formation energies and energies above the hull in meV/atom."""
    rows = next(iter(documents.values())).rows
    names, formulas = rows.material_id.tolist(), rows.formula.tolist()
    predictions = {}
    for model, document in documents.items():
        energies = _convert(
            document.rows.predicted_formation_energy,
            document.rows.predicted_energy_above_hull,
        )
        ids = document.rows.material_id.tolist()
        found = dict(zip(ids, energies, strict=True))
        predictions[appearance(model).title] = [
            found.get(name, [None, None]) for name in names
        ]
    return {
        "materials": names,
        "formulas": formulas,
        "fractions": [
            Composition(formula).fractional_composition.as_dict()
            for formula in formulas
        ],
        "labels": _convert(rows.target_formation_energy, rows.target_energy_above_hull),
        "models": predictions,
    }


def _convert(*energies: NDArray[np.float64]) -> list[list[float | None]]:
    """Convert eV/atom to meV/atom, rounded to one decimal, row by row."""
    columns = [
        [None if energy != energy else round(energy, 1) for energy in values]  # noqa: PLR0124 - NaN
        for values in (1000 * column for column in energies)
        for values in [values.tolist()]
    ]
    return [list(row) for row in zip(*columns, strict=True)]
