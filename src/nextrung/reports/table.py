"""Table 1 of the paper: every model on every benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nextrung.reports.markup import (
    MISSING,
    element,
    format_number,
    header,
    number,
    row,
    table,
)
from nextrung.reports.models import appearance, in_order, model_cell
from nextrung.reports.paper import PAPER_STUDY, TABLE_1

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from xml.etree.ElementTree import Element

    from nextrung.reports.intervals import Intervals
    from nextrung.schemas.study import ModelSummary, StudyResults


@dataclass(frozen=True)
class Column:
    """One benchmark of Table 1.

    Parameters
    ----------
    key : str
        Name of the column, the same in the paper's table.
    title : str
        Title for readers.
    meaning : str
        What is averaged over what.
    unit : str
        Unit of the shown value; empty for a count.
    factor : float
        Factor from the stored to the shown unit.
    digits : int
        Decimals shown.
    stage : str
        Stage that computed it.
    read : callable
        Finds the stored value of a model; None where it is missing.
    """

    key: str
    title: str
    meaning: str
    unit: str
    factor: float
    digits: int
    stage: str
    read: Callable[[ModelSummary], float | None]


def _read_test(name: str) -> Callable[[ModelSummary], float | None]:
    """Read an error of the test split."""

    def read(summary: ModelSummary) -> float | None:
        errors = summary.metrics.get("test")
        value: float | None = getattr(errors, name) if errors else None
        return value

    return read


def _read_stage(stage: str, name: str) -> Callable[[ModelSummary], float | None]:
    """Read a value of a stage that may have been left out."""

    def read(summary: ModelSummary) -> float | None:
        scores = getattr(summary, stage)
        value: float | None = getattr(scores, name) if scores else None
        return value

    return read


COLUMNS = (
    Column(
        "energy",
        "E",
        "Energy, mean absolute error over test frames",
        "meV/atom",
        1000,
        1,
        "evaluation",
        _read_test("energy_mae"),
    ),
    Column(
        "forces",
        "F",
        "Forces, mean absolute error over components of test frames",
        "meV/Å",
        1000,
        1,
        "evaluation",
        _read_test("forces_mae"),
    ),
    Column(
        "stress",
        "S",
        "Stress, mean absolute error over the nine components of test frames",
        "GPa",
        1,
        3,
        "evaluation",
        _read_test("stress_mae"),
    ),
    Column(
        "magmoms",
        "M",
        "Magnetic moments, mean absolute error over labelled atoms of test frames",
        "μ_B",
        1,
        3,
        "evaluation",
        _read_test("magmoms_mae"),
    ),
    Column(
        "decomposition_energy",
        "E_decomp",
        "Decomposition energy, mean absolute error over test materials",
        "meV/atom",
        1000,
        1,
        "stability",
        _read_stage("stability", "decomposition_energy_mae"),
    ),
    Column(
        "formation_energy",
        "E_form",
        "Formation energy, mean absolute error over all materials",
        "meV/atom",
        1000,
        1,
        "stability",
        _read_stage("stability", "formation_energy_mae"),
    ),
    Column(
        "density",
        "Density",
        "Density, mean absolute error over experimental crystals",
        "g/cm³",
        1,
        3,
        "density",
        _read_stage("density", "mae"),
    ),
    Column(
        "failed_relaxations",
        "Failed",
        "Relaxations that gave no energy",
        "",
        1,
        0,
        "stability",
        _read_stage("stability", "n_failed_relaxations"),
    ),
)


def find_best(models: Mapping[str, ModelSummary], column: Column) -> set[str]:
    """Find the models with the lowest value of a column.

    Parameters
    ----------
    models : mapping of str to ModelSummary
        Scores by model.
    column : Column
        The benchmark.

    Returns
    -------
    set of str
        The best models; empty where all are equal and none is better.
    """
    values = {model: column.read(summary) for model, summary in models.items()}
    known = {model: value for model, value in values.items() if value is not None}
    lowest = min(known.values(), default=None)
    best = {model for model, value in known.items() if value == lowest}
    return set() if len(best) == len(known) > 1 else best


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
