"""Table 1 of the paper: every model on every benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nextrung.reports.html.elements import (
    MISSING,
    element,
    format_number,
    header,
    number,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance, in_order, model_cell
from nextrung.reports.sections.benchmarks import COLUMNS, find_best
from nextrung.reports.sections.published_values import PAPER_STUDY, TABLE_1

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from nextrung.reports.sections.benchmarks import Column
    from nextrung.reports.sections.intervals import Intervals
    from nextrung.schemas.study import ModelSummary, StudyResults


def results_table(results: StudyResults) -> Table:
    """Lay Table 1 out for a terminal of 100 columns.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    rich.table.Table
        One row per model; the best value of each column is bold.
    """
    title = f"{results.study} · labels: {results.labels}"
    laid = Table(
        title=Text(title),
        caption=f"{MISSING} not computed; bold: lowest of its column",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    laid.add_column("Model")
    for column in COLUMNS:
        laid.add_column(f"{column.title}\n{column.unit}".strip(), justify="right")
    best = {column.key: find_best(results.models, column) for column in COLUMNS}
    for model in in_order(results.models):
        summary = results.models[model]
        cells = [
            Text(_write(summary, column), "bold" if model in best[column.key] else "")
            for column in COLUMNS
        ]
        laid.add_row(appearance(model).title, *cells)
    return laid


def _write(summary: ModelSummary, column: Column) -> str:
    """Write one value in the shown unit."""
    value = column.read(summary)
    return format_number(
        None if value is None else value * column.factor, column.digits
    )


def html_table(results: StudyResults, intervals: Intervals) -> Element:
    """Lay Table 1 out for the page, every number linked to the job that made it.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    intervals : dict
        Intervals of the numbers in stored units, by model and column.

    Returns
    -------
    Element
        The table; the paper's values beside ours where the study is the paper's.
    """
    titles = header("Model", *(column_title(column) for column in COLUMNS))
    best = {column.key: find_best(results.models, column) for column in COLUMNS}
    rows = []
    for model in in_order(results.models):
        cells = [_html_cell(results, model, column) for column in COLUMNS]
        for cell, column in zip(cells, COLUMNS, strict=True):
            cell.extend(_write_interval(column, intervals.get((model, column.key))))
            if model in best[column.key]:
                cell.set("class", cell.get("class", "") + " best")
        name = model_cell(model)
        name.set("data-model", model)
        rows.append(row(name, *cells))
    return table(titles, rows)


def column_title(column: Column) -> Element:
    """Title a column with its unit and its meaning.

    Parameters
    ----------
    column : Column
        The column.

    Returns
    -------
    Element
        A ``th``.
    """
    unit = element("span", column.unit, class_="unit")
    return element("th", column.title, " ", unit, class_="number", title=column.meaning)


def _html_cell(results: StudyResults, model: str, column: Column) -> Element:
    """Show one value with its job and, where there is one, the paper's value."""
    value = column.read(results.models[model])
    cell = number(
        value,
        column.digits,
        factor=column.factor,
        reason=f"not computed: {column.stage} has no such value for this model",
    )
    cell.set("data-column", column.key)
    job = results.jobs.get(f"{column.stage}/{model}")
    if value is not None and job is not None:
        shown = cell[0]
        cell.remove(shown)
        link = element("a", shown, href=f"#{anchor(f'{column.stage}/{model}')}")
        cell.append(link)
        cell.set("title", f"{column.meaning}; job {job}")
    paper = TABLE_1.get(model, {}).get(column.key)
    if results.study == PAPER_STUDY and paper is not None:
        text = f"paper {format_number(paper, column.digits)}"
        cell.append(element("span", text, class_="paper"))
    return cell


def _write_interval(
    column: Column, interval: tuple[float, float] | None
) -> list[Element]:
    """Write an interval in the shown unit, where there is one."""
    if interval is None:
        return []
    ends = (format_number(end * column.factor, column.digits) for end in interval)
    return [element("span", MISSING.join(ends), class_="interval")]


def anchor(key: str) -> str:
    """Name the provenance row of a document.

    Parameters
    ----------
    key : str
        Stage, or stage/model.

    Returns
    -------
    str
        Identifier of the row on the page.
    """
    return "document-" + key.replace("/", "-")
