"""Table of the relaxations of every model by status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    element,
    format_duration,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import in_order, model_cell
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.relaxation import RelaxationDoc


def list_statuses(
    statuses: Mapping[str, Mapping[str, int]], documents: Mapping[str, RelaxationDoc]
) -> list[Element]:
    """List the number of relaxations of every model by status.

    Parameters
    ----------
    statuses : mapping of str to mapping of str to int
        Relaxations by status, by model.
    documents : mapping of str to RelaxationDoc
        Relaxations by model; may be empty.

    Returns
    -------
    list of Element
        A table, and a sentence on the settings where there are documents.
    """
    rows = [
        row(
            model_cell(model),
            *(number(statuses[model].get(status, 0)) for status in RelaxationStatus),
        )
        for model in in_order(statuses)
    ]
    titles = numeric(*(status.replace("_", " ") for status in RelaxationStatus))
    counted = table(["Relaxations by status", *titles], rows)
    return [counted, *_describe_settings(documents)]


def _describe_settings(documents: Mapping[str, RelaxationDoc]) -> list[Element]:
    """Describe the settings and the total time of the relaxations."""
    if not documents:
        return []
    settings = next(iter(documents.values())).settings
    n_materials = sum(document.n_materials for document in documents.values())
    time = sum(document.relaxation_time for document in documents.values())
    text = (
        f"Relaxed with the engine {settings.engine.value} to {settings.fmax} eV/Å in "
        f"at most {settings.max_steps:,} steps, cell: "
        f"{settings.cell.replace('_', ' ')}; {n_materials:,} relaxations took "
        f"{format_duration(time)}."
    )
    return [element("p", text)]
