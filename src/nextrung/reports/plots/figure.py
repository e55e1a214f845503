"""Figures: a plot for the page and its data for everything else."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.io import to_json

from nextrung.reports.html.elements import element, embed_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

#: Lines that guide the eye, legible on white and on black.
GUIDE = "rgba(128,128,128,0.75)"

#: Decades above which an axis has ticks at powers of ten only, and below which it has
#: more than three in a decade.
_WIDE, _NARROW = 3.5, 0.7


@dataclass(frozen=True)
class Figure:
    """A plot, what it shows in words, and its data as columns.

    Parameters
    ----------
    name : str
        Name of the figure, of its anchor and of its CSV file.
    caption : str
        What is shown, with units.
    plot : plotly.graph_objects.Figure
        The plot, without a template: the page has one for light and one for dark.
    columns : mapping of str to sequence
        Data behind the plot, columns of equal length.
    height : int
        Height in pixels.
    least_width : int
        Width in pixels from which figures stand side by side.
    shown : str
        The view to begin with; the first by default.
    views : mapping of str to sequence of int
        Traces to show by the name of the view, where one is chosen at a time.
    """

    name: str
    caption: str
    plot: go.Figure
    columns: Mapping[str, Sequence[Any]]
    height: int = 360
    least_width: int = 416
    shown: str = ""
    views: Mapping[str, Sequence[int]] = field(default_factory=dict)


def plot(
    traces: Sequence[object],
    x_title: str = "",
    y_title: str = "",
    **layout: Any,  # noqa: ANN401
) -> go.Figure:
    """Draw traces without deciding on colours of the page.

    Parameters
    ----------
    traces : sequence of plotly traces
        What to draw.
    x_title, y_title : str
        Titles of the axes, with units.
    **layout : object
        More of plotly's layout.

    Returns
    -------
    plotly.graph_objects.Figure
        The plot.
    """
    base = {
        "xaxis": {"title": {"text": x_title}, "showgrid": True},
        "yaxis": {"title": {"text": y_title}, "showgrid": True},
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    drawn = go.Figure(traces, base)
    return drawn.update_layout(**layout)


def log_axis(values: Iterable[float], **axis: object) -> dict[str, Any]:
    """Describe a logarithmic axis with ticks at 1, 2 and 5 times powers of ten.

    Parameters
    ----------
    values : iterable of float
        Values to cover, above zero.
    **axis : object
        More of plotly's description of the axis.

    Returns
    -------
    dict
        The description.
    """
    known = [value for value in values if value > 0] or [1.0]
    low, high = log10(min(known)), log10(max(known))
    powers = range(floor(low) - 1, ceil(high) + 2)
    digits: Iterable[float] = (1,) if high - low > _WIDE else (1, 2, 5)
    if high - low < _NARROW:
        digits = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    return {"type": "log", **_label(ticks), **axis}


def _label(ticks: Sequence[float]) -> dict[str, object]:
    """Label ticks with whole numbers, not with digits of logarithms."""
    return {"tickvals": list(ticks), "ticktext": [f"{tick:,.6g}" for tick in ticks]}


def size_axis(sizes: Sequence[int], end: float) -> dict[str, Any]:
    """Describe a logarithmic axis with a tick at every training size.

    Parameters
    ----------
    sizes : sequence of int
        Training sizes, above zero.
    end : float
        Where the axis ends; beyond the sizes every power of ten has a tick.

    Returns
    -------
    dict
        The description.
    """
    beyond = range(floor(log10(max(sizes))) + 1, floor(log10(end)) + 1)
    ticks = [*sorted(set(sizes)), *(10**power for power in beyond)]
    return {"type": "log", **_label(ticks)}


def embed(figure: Figure) -> Element:
    """Place a figure on the page; a script draws it when it comes into view.

    Parameters
    ----------
    figure : Figure
        The figure.

    Returns
    -------
    Element
        A ``figure`` with its data, its chooser of views and its caption.
    """
    drawn = json.loads(to_json(figure.plot, validate=False))
    drawn["layout"].pop("template", None)
    drawn["views"] = {view: list(chosen) for view, chosen in figure.views.items()}
    canvas = element("div", class_="plot", style=f"height:{figure.height}px")
    caption = element("figcaption", figure.caption)
    chooser = [_choose_view(figure)] if figure.views else []
    data = embed_json(drawn)
    return element(
        "figure", *chooser, canvas, data, caption, id=figure.name, class_="chart"
    )


def _choose_view(figure: Figure) -> Element:
    """Offer the views of a figure."""
    options = [element("option", view, value=view) for view in figure.views]
    for option in options:
        if option.get("value") == figure.shown:
            option.set("selected", "")
    return element("label", "Show ", element("select", *options), class_="views")


def write_columns(figures: Iterable[Figure], folder: Path) -> list[Path]:
    """Write the data of figures as CSV, one file each.

    Parameters
    ----------
    figures : iterable of Figure
        The figures.
    folder : Path
        Where to write; made where it does not exist.

    Returns
    -------
    list of Path
        The files, in the order of the figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_columns_of(figure, folder) for figure in figures]


def _write_columns_of(figure: Figure, folder: Path) -> Path:
    """Write the data of one figure."""
    path = folder / f"{figure.name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(figure.columns)
        writer.writerows(zip(*figure.columns.values(), strict=True))
    return path
