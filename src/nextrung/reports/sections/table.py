"""Table 1 of the paper: every model on every benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nextrung.reports.html.elements import MISSING, element, format_number, row, table
from nextrung.reports.html.model_style import appearance, in_order, model_cell
from nextrung.reports.sections.benchmarks import COLUMNS, find_best, read_baselines
from nextrung.reports.sections.published_values import PAPER_STUDY, TABLE_1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.reports.sections.benchmarks import Column
    from nextrung.reports.sections.intervals import Intervals
    from nextrung.schemas.repeats import Spread
    from nextrung.schemas.study import StudyResults


def results_table(results: StudyResults) -> Table:
    """Build Table 1 for a terminal of 100 columns.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    rich.table.Table
        One row per model; the best value of each column is bold.
    """
    built = Table(
        title=Text(f"{results.study} · labels: {results.labels}"),
        caption=_explain(results),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    built.add_column("Model", overflow="fold")
    for column in COLUMNS:
        heading = f"{column.title}\n{column.quantity.unit}".strip()
        built.add_column(heading, justify="right")
    best = {column.key: _find_marked(results, column) for column in COLUMNS}
    for model in in_order(results.models):
        cells = [
            Text(
                _format_cell(results, model, column),
                "bold" if model in best[column.key] else "",
            )
            for column in COLUMNS
        ]
        built.add_row(Text(_title(results, model)), *cells)
    baselines = read_baselines(results)
    if baselines:
        built.add_row(
            "Baseline",
            *(column.quantity.format(baselines.get(column.key)) for column in COLUMNS),
        )
    return built


def _explain(results: StudyResults) -> str:
    """Explain the marks of the table, and the repeats behind its means."""
    text = (
        f"{MISSING} not computed; bold: lowest of the column; baseline: zero, or "
        "atomic references alone for energies"
    )
    if absent := _list_unlabelled(results):
        text += f"; no frame has labels of {', '.join(absent)}"
    if results.finished:
        text += "; in brackets: functional of a finished potential, not trained here"
    n_repeats = max((len(each.repeats) for each in results.repeats.values()), default=1)
    if n_repeats > 1:
        text += f"; mean ±standard deviation over up to {n_repeats} repeats"
    return text


def _list_unlabelled(results: StudyResults) -> list[str]:
    """List the properties that no frame of the data set has labels of."""
    counts = results.dataset.n_frames_by_label
    return [label.value for label, count in counts.items() if not count]


def read_value(results: StudyResults, model: str, column: Column) -> float | None:
    """Read the value of a model, its mean over repeats where there are several.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    model : str
        Model of the study, or name of a finished potential.
    column : Column
        Column of the table.
    """
    spread = _find_spread(results, model, column)
    return column.read(results.models[model]) if spread is None else spread.mean


def _find_spread(results: StudyResults, model: str, column: Column) -> Spread | None:
    """Find mean and spread of a value over several repeats."""
    repeated = results.repeats.get(model)
    spread = repeated and repeated.spread.get(column.key)
    return spread if spread and spread.std is not None else None


def badge_of(results: StudyResults, model: str) -> str:
    """Return the functional of a finished potential; empty for models of the study.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    model : str
        Model of the study, or name of a finished potential.
    """
    finished = results.finished.get(model)
    return finished.functional if finished else ""


def _title(results: StudyResults, model: str) -> str:
    """Return the title of a model, and the functional of a finished potential."""
    badge = badge_of(results, model)
    return f"{appearance(model).title}\n[{badge}]" if badge else appearance(model).title


def _find_marked(results: StudyResults, column: Column) -> list[str]:
    """Find the best models of a column; none where all have the same value."""
    finished = results.finished
    values = {
        model: read_value(results, model, column)
        for model in results.models
        if model not in finished or finished[model].is_compared(column.key)
    }
    best = find_best(values)
    n_known = sum(value is not None for value in values.values())
    return [] if len(best) == n_known > 1 else best


def html_table(
    results: StudyResults,
    intervals: Intervals,
    leaders: Mapping[str, Sequence[str]] | None = None,
    *,
    baselines: Mapping[str, float] | None = None,
) -> Element:
    """Build Table 1 for the page; every number links to its job.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    intervals : dict
        Intervals of the numbers in stored units, by model and column.
    leaders : mapping of str to sequence of str, optional
        Models whose value is bold, by column; the lowest of other columns are.
    baselines : mapping of str to float, optional
        Errors of the baseline in stored units, by column; by default those that the
        results have.

    Returns
    -------
    Element
        The table; the paper's values are below ours where the study is the paper's.
    """
    best = {column.key: _find_marked(results, column) for column in COLUMNS}
    best |= {key: list(models) for key, models in (leaders or {}).items()}
    rows = []
    for model in in_order(results.models):
        cells = [_html_cell(results, model, column) for column in COLUMNS]
        for cell, column in zip(cells, COLUMNS, strict=True):
            cell.extend(_list_ends(column, intervals.get((model, column.key))))
            if spread := _format_spread(results, model, column):
                cell.append(element("span", spread, class_="interval"))
            if model in best[column.key]:
                cell.set("class", cell.get("class", "") + " best")
        name = model_cell(model, badge_of(results, model))
        name.set("data-model", model)
        rows.append(row(name, *cells))
    rows += _list_baselines({**read_baselines(results), **(baselines or {})})
    return table(["Model", *map(column_title, COLUMNS)], rows)


def _list_baselines(found: Mapping[str, float]) -> list[Element]:
    """Build the row of the errors of the baseline; none without such."""
    if not found:
        return []
    meaning = "predicting zero; energies: atomic references alone"
    name = element("th", "Baseline", scope="row", title=meaning)
    reason = "no baseline"
    cells = [c.quantity.cell(found.get(c.key), reason) for c in COLUMNS]
    built = row(name, *cells)
    built.set("class", "baseline")
    return [built]


def column_title(column: Column) -> Element:
    """Build the title of a column: name, unit and, as a tooltip, its meaning.

    Parameters
    ----------
    column : Column
        The column.
    """
    unit = element("span", column.quantity.unit, class_="unit")
    return element("th", column.title, " ", unit, class_="number", title=column.meaning)


def _html_cell(results: StudyResults, model: str, column: Column) -> Element:
    """Build a cell with value, link to the job and the paper's value."""
    value = read_value(results, model, column)
    reason = f"not computed: {column.stage} has no such value for this model"
    if column.key in _list_unlabelled(results):
        reason = "not computed: no frame has the label"
    cell = column.quantity.cell(value, reason)
    cell.set("data-column", column.key)
    job = results.jobs.get(f"{column.stage}/{model}")
    if value is not None and job is not None:
        shown = cell[0]
        cell.remove(shown)
        link = element("a", shown, href=f"#{anchor(f'{column.stage}/{model}')}")
        cell.append(link)
        spread = _find_spread(results, model, column)
        over = f"; mean over {spread.n_repeats} repeats, the first" if spread else ""
        cell.set("title", f"{column.meaning}{over}; job {job}")
    paper = TABLE_1.get(model, {}).get(column.key)
    if results.study == PAPER_STUDY and paper is not None:
        text = f"paper {format_number(paper, column.quantity.digits)}"
        cell.append(element("span", text, class_="paper"))
    return cell


def _list_ends(column: Column, interval: tuple[float, float] | None) -> list[Element]:
    """Format an interval in the shown unit."""
    if interval is None:
        return []
    text = MISSING.join(column.quantity.format(end) for end in interval)
    return [element("span", text, class_="interval")]


def _format_cell(results: StudyResults, model: str, column: Column) -> str:
    """Format a value, and below it its spread over repeats."""
    value = column.quantity.format(read_value(results, model, column))
    return f"{value}\n{_format_spread(results, model, column)}".rstrip()


def _format_spread(results: StudyResults, model: str, column: Column) -> str:
    """Format the standard deviation over repeats; empty without repeats."""
    spread = _find_spread(results, model, column)
    return "" if spread is None else f"±{column.quantity.format(spread.std)}"


def anchor(key: str) -> str:
    """Return the anchor of a document's row in the provenance section.

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
