"""Figures: a plot, its caption and the data behind it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.io import to_json

from nextrung.reports.html.elements import element, embed_json
from nextrung.reports.html.model_style import appearance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from xml.etree.ElementTree import Element

#: Colour of reference lines, legible on white and on black.
GUIDE = "rgba(128,128,128,0.75)"

#: Above this many decades an axis has ticks at powers of ten only; below the second
#: number it has more than three ticks per decade.
_WIDE, _NARROW = 3.5, 0.7


@dataclass(frozen=True)
class Figure:
    """A plot, its caption and its data as columns.

    Parameters
    ----------
    name : str
        Name of the figure, its anchor and its files.
    caption : str
        What is shown, with units.
    plot : plotly.graph_objects.Figure
        The plot without a template: the page has a light and a dark one.
    columns : mapping of str to sequence
        Data of the plot in columns of equal length.
    height : int
        Height in pixels.
    least_width : int
        Least width in pixels beside another figure.
    shown : str
        The view shown at first; the first one by default.
    views : mapping of str to sequence of int
        Indices of the traces of each view, where the reader chooses one.
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
    """Build a plot in the layout of reports, without colours of the page.

    Parameters
    ----------
    traces : sequence of plotly traces
        The traces.
    x_title, y_title : str
        Titles of the axes, with units.
    **layout : object
        Further settings of plotly's layout.
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


def plot_by_model(
    name: str,
    caption: str,
    traces: Mapping[str, Sequence[go.Scatter]],
    *,
    columns: Mapping[str, Sequence[Any]],
    unit: str,
    best: str,
) -> Figure:
    """Plot predictions against labels, one model at a time.

    Parameters
    ----------
    name, caption : str
        Name and caption of the figure.
    traces : mapping of str to sequence of plotly.graph_objects.Scatter
        Traces of each model.
    columns : mapping of str to sequence
        Data of the plot.
    unit : str
        Unit of both axes.
    best : str
        The model shown at first.

    Returns
    -------
    Figure
        A figure with a view per model.
    """
    drawn: list[go.Scatter] = []
    views = {}
    for model, found in traces.items():
        views[appearance(model).title] = range(len(drawn), len(drawn) + len(found))
        drawn += found
    axes = (f"label ({unit})", f"prediction ({unit})")
    return Figure(
        name,
        caption,
        plot(drawn, *axes, showlegend=False),
        columns,
        height=460,
        shown=appearance(best).title,
        views=views,
    )


def equality_line(*values: float) -> go.Scatter:
    """Build the line on which prediction and label are equal.

    Parameters
    ----------
    *values : float
        Values that the line covers.
    """
    ends = [min(values), max(values)]
    line = {"color": GUIDE, "dash": "dot", "width": 1.2}
    return go.Scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip")


def list_columns(
    rows: Mapping[str, Sequence[object]], names: Iterable[str]
) -> dict[str, list[Any]]:
    """List attributes of the rows of all models as columns.

    Parameters
    ----------
    rows : mapping of str to sequence
        Rows of each model.
    names : iterable of str
        Attributes of a row.

    Returns
    -------
    dict of str to list
        A column of models and one per attribute.
    """
    pairs = [(model, row) for model, found in rows.items() for row in found]
    columns: dict[str, list[Any]] = {"model": [model for model, _ in pairs]}
    return columns | {name: [getattr(row, name) for _, row in pairs] for name in names}


def log_axis(values: Iterable[float], **axis: object) -> dict[str, Any]:
    """Build a logarithmic axis with ticks at 1, 2 and 5 times powers of ten.

    Parameters
    ----------
    values : iterable of float
        Values of the axis; those not above zero are ignored.
    **axis : object
        Further settings of the axis.
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
    """Label ticks with whole numbers instead of digits of logarithms."""
    return {"tickvals": list(ticks), "ticktext": [f"{tick:,.6g}" for tick in ticks]}


def size_axis(sizes: Sequence[int], end: float) -> dict[str, Any]:
    """Build a logarithmic axis with a tick at every training size.

    Parameters
    ----------
    sizes : sequence of int
        Training sizes, above zero.
    end : float
        End of the axis; beyond the sizes every power of ten has a tick.
    """
    beyond = range(floor(log10(max(sizes))) + 1, floor(log10(end)) + 1)
    ticks = [*sorted(set(sizes)), *(10**power for power in beyond)]
    return {"type": "log", **_label(ticks)}


def embed(figure: Figure) -> Element:
    """Build the element of a figure; a script draws it once it is near the window.

    Parameters
    ----------
    figure : Figure
        The figure.

    Returns
    -------
    Element
        A ``figure`` with data, caption and, for several views, a menu.
    """
    drawn = json.loads(to_json(figure.plot, validate=False))
    drawn["layout"].pop("template", None)
    drawn["views"] = {view: list(chosen) for view, chosen in figure.views.items()}
    canvas = element("div", class_="plot", style=f"height:{figure.height}px")
    caption = element("figcaption", figure.caption)
    menu = [_build_menu(figure)] if figure.views else []
    data = embed_json(drawn)
    return element(
        "figure", *menu, canvas, data, caption, id=figure.name, class_="chart"
    )


def _build_menu(figure: Figure) -> Element:
    """Build the menu of views."""
    options = [element("option", view, value=view) for view in figure.views]
    for option in options:
        if option.get("value") == figure.shown:
            option.set("selected", "")
    return element("label", "Show ", element("select", *options), class_="views")
