"""Page of the hulls of one chemical system."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from nextrung.reports.html.elements import element, format_count, numeric, row, table
from nextrung.reports.html.model_style import appearance
from nextrung.reports.html.quantities import ENERGY
from nextrung.reports.pages.page import build_header, write_page
from nextrung.reports.sections.hull import build_explorer, parse_system, select_within
from nextrung.reports.sections.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from nextrung.schemas.stability import StabilityRecord
    from nextrung.schemas.stability.table import LoadedStability

#: Numbers of elements whose hulls are drawn.
DRAWABLE = (2, 3, 4)


def write_hull(
    documents: Mapping[str, LoadedStability], system: str, path: Path
) -> None:
    """Write the hulls of one chemical system, labels beside models, as a page.

    Parameters
    ----------
    documents : mapping of str to LoadedStability
        Documents of a study by model; at least one.
    system : str
        Symbols joined by hyphens, in any order.
    path : Path
        The HTML file, replaced atomically.

    Raises
    ------
    InputError
        If an element of the system is in no material of the study.

    Notes
    -----
    Hulls of two, three and four elements are drawn; for other numbers of elements the
    page has the table of energies only.
    """
    first = next(iter(documents.values()))
    elements = parse_system(system, first.rows)
    within = {
        model: doc.model_copy(update={"rows": select_within(doc.rows, elements)})
        for model, doc in documents.items()
    }
    rows = {model: doc.rows.to_records() for model, doc in within.items()}
    name = "-".join(elements)
    blocks = [_describe_system(next(iter(rows.values())), elements)]
    if len(elements) in DRAWABLE:
        blocks.append(build_explorer(within, [name]))
    section = Section("hull", "Hull", (*blocks, _list_materials(rows)))
    header = build_header("hull", name, [first.labels])
    write_page(path, name, header=header, sections=[section])


def _describe_system(
    rows: Sequence[StabilityRecord], elements: Sequence[str]
) -> Element:
    """Describe the materials, and why a hull is not drawn."""
    text = f"{format_count(len(rows), 'material')} of {', '.join(elements)}."
    if len(elements) not in DRAWABLE:
        text += (
            f" Hulls of {format_count(len(elements), 'element')} are not drawn; the "
            "table lists their energies."
        )
    return element(
        "p",
        f"{text} Energies are relative to the elemental entries of the labels or of "
        "the model. The hull of a model is built from the energies of structures "
        "relaxed with that model; failed relaxations are left out.",
    )


def _list_materials(rows: Mapping[str, Sequence[StabilityRecord]]) -> Element:
    """List every material by its energy above the hull of the labels."""
    by_model = [
        {found.material_id: found for found in listed} for listed in rows.values()
    ]
    titles = numeric(
        "Formation, labels (meV/atom)",
        "Above hull, labels (meV/atom)",
        *(f"Above hull, {appearance(model).title}" for model in rows),
    )
    listed = [
        row(
            material.formula,
            material.material_id,
            _build_cell(material.target_formation_energy, material),
            _build_cell(material.target_energy_above_hull, material),
            *(
                _build_cell(found.predicted_energy_above_hull, found)
                for found in (rows_of[material.material_id] for rows_of in by_model)
            ),
        )
        for material in sorted(next(iter(rows.values())), key=_rank)
    ]
    return table(["Formula", "Material", *titles], listed)


def _rank(material: StabilityRecord) -> float:
    """Return the energy above the hull of the labels; infinity where it is missing."""
    energy = material.target_energy_above_hull
    return inf if energy is None else energy


def _build_cell(energy: float | None, material: StabilityRecord) -> Element:
    """Build the cell of an energy, with the error where it is missing."""
    return ENERGY.cell(energy, material.error or "")
