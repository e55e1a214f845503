"""A page of its own for the hulls of one chemical system."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    count,
    element,
    header,
    number,
    numeric,
    paragraph,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance
from nextrung.reports.pages.page import write_page
from nextrung.reports.plots.hull import DRAWABLE, plot_sides
from nextrung.reports.plots.hull_data import list_within, parse_system, read_hull_data
from nextrung.reports.sections.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from nextrung.reports.plots.figure import Figure
    from nextrung.schemas.stability import StabilityDoc, StabilityRecord


def write_hull(documents: Mapping[str, StabilityDoc], system: str, path: Path) -> None:
    """Write the hulls of one chemical system, labels beside models, as HTML.

    Parameters
    ----------
    documents : mapping of str to StabilityDoc
        Documents of a study by model; at least one.
    system : str
        Symbols joined by hyphens, in any order.
    path : Path
        The HTML file; it needs no other one.

    Raises
    ------
    InputError
        If an element of the system is in no material of the study.

    Notes
    -----
    Hulls of two, three and four elements are drawn. For other numbers of elements the
    page says so and has the table of energies alone.
    """
    first = next(iter(documents.values()))
    elements = parse_system(system, first.rows)
    rows = {m: list_within(doc.rows, elements) for m, doc in documents.items()}
    labelled = next(iter(rows.values()))
    blocks: list[Element | Figure] = [_introduce(labelled, elements)]
    if len(elements) in DRAWABLE:
        labels = read_hull_data(
            labelled, elements, source="target", title=f"labels: {first.labels}"
        )
        models = [
            read_hull_data(
                found, elements, source="predicted", title=appearance(model).title
            )
            for model, found in rows.items()
        ]
        blocks.append(plot_sides(labels, models))
    blocks.append(_list_materials(rows))
    name = "-".join(elements)
    title = element(
        "header",
        element("p", "nextrung hull", class_="kicker"),
        element("h1", name),
        element("p", f"labels: {first.labels}", class_="labels"),
    )
    section = Section("hull", "Hull", tuple(blocks))
    write_page(path, name, header=title, sections=[section])


def _introduce(rows: Sequence[StabilityRecord], elements: tuple[str, ...]) -> Element:
    """Say what the page holds, and why there is no drawing where there is none."""
    text = f"{count(len(rows), 'material')} of {', '.join(elements)}."
    if len(elements) not in DRAWABLE:
        text += (
            f" A hull of {count(len(elements), 'element')} has no drawing: "
            "here are its energies."
        )
    return paragraph(
        f"{text} Energies are measured from the elemental entries of the labels or of "
        "the model; the hull of a model is made of energies relaxed with that model, "
        "and failed relaxations are missing from it."
    )


def _list_materials(rows: Mapping[str, Sequence[StabilityRecord]]) -> Element:
    """List every material, those nearest to the hull of the labels first."""
    by_model = {
        model: {found.material_id: found for found in listed}
        for model, listed in rows.items()
    }
    labelled = sorted(next(iter(rows.values())), key=_distance)
    titles = header(
        "Formula",
        "Material",
        *numeric("Formation, labels (meV/atom)", "Above hull, labels (meV/atom)"),
        *numeric(*(f"Above hull, {appearance(model).title}" for model in rows)),
    )
    return table(
        titles,
        [
            row(
                material.formula,
                material.material_id,
                _write(material.target_formation_energy, material),
                _write(material.target_energy_above_hull, material),
                *(
                    _write(found.predicted_energy_above_hull, found)
                    for listed in by_model.values()
                    for found in [listed[material.material_id]]
                ),
            )
            for material in labelled
        ],
    )


def _distance(material: StabilityRecord) -> float:
    """Tell how far above the hull of the labels a material is."""
    energy = material.target_energy_above_hull
    return inf if energy is None else energy


def _write(energy: float | None, material: StabilityRecord) -> Element:
    """Write an energy, or why there is none."""
    return number(energy, 1, factor=1000, reason=material.error or "")
