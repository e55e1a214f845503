"""Several studies side by side: another functional, source, data set or seed."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nextrung.reports.html.elements import (
    MISSING,
    element,
    format_number,
    header,
    number,
    numeric,
    paragraph,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance, in_order, model_cell
from nextrung.reports.pages.page import write_page
from nextrung.reports.plots.figure import Figure, log_axis, plot
from nextrung.reports.sections.benchmarks import COLUMNS
from nextrung.reports.sections.section import Section
from nextrung.reports.sections.table import column_title
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from nextrung.reports.sections.benchmarks import Column
    from nextrung.schemas.study import ModelSummary, StudyDoc

#: Settings in which studies that belong together may differ.
_UNIMPORTANT = {"seed", "name", "description"}

_COLOURS = ("#3b86e0", "#ee8434", "#17a589", "#b068c9", "#dd4b63", "#c09a4e")


def write_comparison(studies: Sequence[StudyDoc], path: Path) -> None:
    """Write a page that sets studies side by side.

    Parameters
    ----------
    studies : sequence of StudyDoc
        At least two studies of different names.
    path : Path
        The HTML file; it appears whole or not at all.

    Raises
    ------
    InputError
        If there are fewer than two studies, or two of one name.
    """
    names = [study.results.study for study in studies]
    if len(set(names)) < max(len(names), 2):
        raise InputError(
            "comparison: expected two or more studies of different names, got "
            f"{', '.join(names) or 'none'}"
        )
    sections = (
        Section("studies", "Studies", (_list_studies(studies),)),
        Section("results", "Results", _compare_models(studies)),
        Section("seeds", "Seed to seed", _compare_seeds(studies)),
    )
    write_page(path, " · ".join(names), header=_title(studies), sections=sections)


def group_by_seed(studies: Sequence[StudyDoc]) -> list[list[StudyDoc]]:
    """Group the studies that differ in nothing but names and seeds.

    Parameters
    ----------
    studies : sequence of StudyDoc
        Studies.

    Returns
    -------
    list of list of StudyDoc
        Groups in the order of their first study; a study may be alone in its group.
    """
    groups: dict[str, list[StudyDoc]] = defaultdict(list)
    for study in studies:
        settings = _forget_seeds(study.settings.model_dump(mode="json"))
        groups[f"{settings}"].append(study)
    return list(groups.values())


def _forget_seeds(settings: Any) -> Any:  # noqa: ANN401
    """Drop names and seeds from settings, however deep."""
    if isinstance(settings, dict):
        return {
            key: _forget_seeds(value)
            for key, value in settings.items()
            if key not in _UNIMPORTANT
        }
    if isinstance(settings, list):
        return [_forget_seeds(value) for value in settings]
    return settings


def _title(studies: Sequence[StudyDoc]) -> Element:
    """Write the head of the page."""
    labels = dict.fromkeys(study.results.labels for study in studies)
    return element(
        "header",
        element("p", "nextrung comparison", class_="kicker"),
        element("h1", " · ".join(study.results.study for study in studies)),
        *(element("p", f"labels: {label}", class_="labels") for label in labels),
    )


def _list_studies(studies: Sequence[StudyDoc]) -> Element:
    """List what the studies were made of."""
    rows = [
        row(
            element("th", study.results.study, scope="row"),
            study.results.labels,
            study.results.source,
            study.settings.dataset.source.kind,
            number(study.results.dataset.n_materials),
            number(study.results.dataset.n_frames),
            number(study.settings.dataset.split.seed),
            number(study.settings.training.seed),
            number(study.settings.training.epochs),
        )
        for study in studies
    ]
    counts = ("Materials", "Frames", "Split seed", "Training seed", "Epochs")
    titles = header("Study", "Labels", "Source", "Data", *numeric(*counts))
    return table(titles, rows)


def _compare_models(studies: Sequence[StudyDoc]) -> tuple[Element | Figure, ...]:
    """Show every number of every study, model by model."""
    rows = []
    for model in _all_models(studies):
        for study in studies:
            summary = study.results.models.get(model)
            cells = [_write(column, summary) for column in COLUMNS]
            rows.append(row(model_cell(model), study.results.study, *cells))
    titles = header("Model", "Study", *(column_title(column) for column in COLUMNS))
    said = paragraph("Each study is scored on its own test split.")
    return said, table(titles, rows), *_plot_energies(studies)


def _all_models(studies: Sequence[StudyDoc]) -> list[str]:
    """List the models of all studies."""
    return in_order({model for study in studies for model in study.results.models})


def _write(column: Column, summary: ModelSummary | None) -> Element:
    """Write one number of a model that a study may not have."""
    value = None if summary is None else column.read(summary)
    return number(value, column.digits, factor=column.factor, reason="not computed")


def _plot_energies(studies: Sequence[StudyDoc]) -> list[Figure]:
    """Draw the test energy error of every model in every study."""
    energy = COLUMNS[0]
    columns: dict[str, list[Any]] = {"study": [], "model": [], "energy_mae": []}
    traces = []
    for place, study in enumerate(studies):
        found = {m: energy.read(s) for m, s in study.results.models.items()}
        known = {m: found[m] for m in in_order(found) if found[m] is not None}
        columns["study"] += [study.results.study] * len(known)
        columns["model"] += list(known)
        columns["energy_mae"] += list(known.values())
        traces.append(
            go.Scatter(
                x=[appearance(model).title for model in known],
                y=[energy.factor * (value or 0) for value in known.values()],
                mode="markers",
                name=study.results.study,
                marker={"size": 10, "color": _COLOURS[place % len(_COLOURS)]},
                hovertemplate="%{x}: %{y:,.1f} meV/atom<extra>%{fullData.name}</extra>",
            )
        )
    if not columns["model"]:
        return []
    titles = [appearance(model).title for model in _all_models(studies)]
    drawn = plot(
        traces,
        y_title="energy MAE (meV/atom)",
        xaxis={"categoryorder": "array", "categoryarray": titles, "tickangle": -40},
        yaxis=log_axis(energy.factor * value for value in columns["energy_mae"]),
        showlegend=True,
    )
    caption = "Mean absolute energy error over test frames, study by study."
    return [Figure("energies", caption, drawn, columns, height=420)]


def _compare_seeds(studies: Sequence[StudyDoc]) -> tuple[Element, ...]:
    """Show mean and spread over the studies that differ in seeds alone."""
    groups = [group for group in group_by_seed(studies) if len(group) > 1]
    if not groups:
        text = "No two of these studies differ in names and seeds alone."
        return (paragraph(text, class_="absent"),)
    return tuple(block for group in groups for block in _spread(group))


def _spread(group: Sequence[StudyDoc]) -> list[Element]:
    """Show mean and standard deviation of one group."""
    rows = [
        row(model_cell(model), *(_write_spread(group, model, c) for c in COLUMNS))
        for model in _all_models(group)
    ]
    names = ", ".join(study.results.study for study in group)
    said = f"Mean ± sample standard deviation over {len(group)} studies: {names}."
    titles = header("Model", *(column_title(column) for column in COLUMNS))
    return [paragraph(said), table(titles, rows)]


def _write_spread(group: Sequence[StudyDoc], model: str, column: Column) -> Element:
    """Write mean and spread of one number."""
    summaries = [study.results.models.get(model) for study in group]
    found = [column.read(summary) for summary in summaries if summary]
    values = [column.factor * value for value in found if value is not None]
    if len(values) < 2:  # noqa: PLR2004
        return element("td", MISSING, class_="number missing", title="fewer than two")
    centre = format_number(mean(values), column.digits)
    return element(
        "td",
        f"{centre} ± {format_number(stdev(values), column.digits)}",
        class_="number",
    )
