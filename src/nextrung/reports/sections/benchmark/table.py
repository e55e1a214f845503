"""Tables of a benchmark, for the page and for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nextrung.reports.html.elements import MISSING, element, row, table
from nextrung.reports.html.model_style import colour_dot
from nextrung.reports.sections.benchmark.columns import (
    FRAMES,
    PROPERTIES,
    style_models,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from nextrung.reports.html.model_style import Appearance
    from nextrung.reports.sections.benchmark.columns import BenchmarkColumn
    from nextrung.schemas.benchmark import (
        BenchmarkDoc,
        BenchmarkResults,
        MeanInterval,
    )


def list_columns(results: BenchmarkResults) -> list[BenchmarkColumn]:
    """List the quantities that at least one model was scored on.

    Parameters
    ----------
    results : BenchmarkResults
        Results of all models.
    """
    tested = {each.property for model in results.models for each in model.properties}
    scored = {mean.quantity for mean in results.comparison.means}
    return [
        column
        for key, column in {**PROPERTIES, **FRAMES}.items()
        if key in tested or key in scored
    ]


def name_cell(look: Appearance) -> Element:
    """Build the first cell of the row of a model.

    Parameters
    ----------
    look : Appearance
        Title and colour of the model.
    """
    return element("th", colour_dot(look.colour), look.title, scope="row")


def html_results(results: BenchmarkResults) -> Element:
    """Build the table of the mean absolute deviations of every model.

    Parameters
    ----------
    results : BenchmarkResults
        Results of all models.
    """
    columns = list_columns(results)
    looks = style_models([each.model for each in results.models])
    means = index_means(results.comparison.means)
    rows = []
    for each in results.models:
        cells = [
            mean_cell(column, means.get((each.model, column.key))) for column in columns
        ]
        for column, cell in zip(columns, cells, strict=True):
            if results.comparison.leaders.get(column.key) == each.model:
                cell.set("class", "number best")
        badge = element("span", each.labels, class_="badge")
        rows.append(row(name_cell(looks[each.model]), badge, *cells, _failed(each)))
    titles = [_build_title(column) for column in columns]
    failed = element(
        "th", "Without value", class_="number", title="of all measured values"
    )
    return table(["Model", "Level of theory", *titles, failed], rows)


def terminal_results(results: BenchmarkResults) -> Table:
    """Build the table of the mean absolute deviations for a terminal.

    Parameters
    ----------
    results : BenchmarkResults
        Results of all models.

    Returns
    -------
    rich.table.Table
        One column per model.
    """
    looks = style_models([each.model for each in results.models])
    means = index_means(results.comparison.means)
    built = Table(
        caption=f"mean absolute deviations with 95 % intervals; {MISSING} no value; "
        "bold: lower than every other model",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    built.add_column("")
    for each in results.models:
        built.add_column(looks[each.model].title, justify="right", overflow="fold")
    built.add_row("Level of theory", *(each.labels for each in results.models))
    for column in list_columns(results):
        leader = results.comparison.leaders.get(column.key)
        cells = [
            Text(
                _format_mean(column, means.get((each.model, column.key))),
                "bold" if leader == each.model else "",
            )
            for each in results.models
        ]
        built.add_row(f"{column.deviation.title}\n{column.deviation.unit}", *cells)
    failed = (_failed(each).text or "" for each in results.models)
    built.add_row("Without value", *failed)
    return built


def _build_title(column: BenchmarkColumn) -> Element:
    """Build the title of a column; its meaning is a tooltip."""
    unit = element("span", column.deviation.unit, class_="unit")
    meaning = column.meaning
    return element(
        "th", column.deviation.title, " ", unit, class_="number", title=meaning
    )


def mean_cell(
    column: BenchmarkColumn, mean: MeanInterval | None, meaning: str = ""
) -> Element:
    """Build the cell of a mean and its interval.

    Parameters
    ----------
    column : BenchmarkColumn
        The quantity.
    mean : MeanInterval or None
        The mean; None where the model has no value.
    meaning : str
        What is averaged, as a tooltip.
    """
    if mean is None:
        return column.deviation.cell(None, "the model has no value")
    cell = column.deviation.cell(mean.mean)
    cell.set("title", f"{meaning or column.meaning}; {mean.n_values} values")
    if (ends := _format_ends(column, mean)) is not None:
        cell.append(element("span", ends, class_="interval"))
    return cell


def index_means(means: Iterable[MeanInterval]) -> dict[tuple[str, str], MeanInterval]:
    """Index means by model and quantity.

    Parameters
    ----------
    means : iterable of MeanInterval
        Means of all models.
    """
    return {(mean.model, mean.quantity): mean for mean in means}


def _format_ends(column: BenchmarkColumn, mean: MeanInterval) -> str | None:
    """Format the interval of a mean; None without one."""
    if mean.low is None or mean.high is None:
        return None
    between = MISSING if mean.low >= 0 else " to "
    return between.join(column.deviation.format(end) for end in (mean.low, mean.high))


def _format_mean(column: BenchmarkColumn, mean: MeanInterval | None) -> str:
    """Format a mean and, below it, its interval."""
    if mean is None:
        return MISSING
    ends = _format_ends(column, mean)
    return "\n".join(filter(None, [column.deviation.format(mean.mean), ends]))


def _failed(model: BenchmarkDoc) -> Element:
    """Count the measured values and frames that a model has no value for."""
    n_failed = sum(each.n_without_value for each in model.properties)
    n_all = len(model.rows)
    if model.frames is not None:
        failed = sum(len(each.frame_ids) for each in model.frames.failures)
        n_failed += failed
        n_all += len(model.frames.rows.frame_id) + failed
    return element("td", f"{n_failed} of {n_all}", class_="number")
