"""Plots of values on the periodic table."""

from __future__ import annotations

from enum import StrEnum
from math import ceil, floor, log10
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from pymatgen.core import Element

from nextrung.reports.plots.figure import plot

if TYPE_CHECKING:
    from collections.abc import Mapping

_SYMBOLS = [Element.from_Z(number).symbol for number in range(1, 104)]
_N_ROWS, _N_COLUMNS = 9, 18
_FIRST_LANTHANOID, _FIRST_ACTINOID = 57, 89
_LANTHANOID_ROW, _ACTINOID_ROW = 8, 9
_FEW_TICKS = 2


class Scale(StrEnum):
    """Scale of the colours."""

    LINEAR = "linear"
    LOGARITHMIC = "logarithmic"
    DIVERGING = "diverging"


def locate(symbol: str) -> tuple[int, int]:
    """Find the row and column of an element in the 18-column table.

    Parameters
    ----------
    symbol : str
        Symbol of the element.

    Returns
    -------
    tuple of int
        Row and column, from 0; lanthanoids and actinoids are below the rest.
    """
    found = Element(symbol)
    if found.is_lanthanoid:
        return _LANTHANOID_ROW - 1, found.Z - _FIRST_LANTHANOID + 2
    if found.is_actinoid:
        return _ACTINOID_ROW - 1, found.Z - _FIRST_ACTINOID + 2
    return found.row - 1, found.group - 1


def plot_periodic_table(
    values: Mapping[str, float],
    texts: Mapping[str, str],
    *,
    title: str,
    scale: Scale = Scale.LINEAR,
) -> go.Figure:
    """Plot a value of each element on the periodic table.

    Parameters
    ----------
    values : mapping of str to float
        Value by symbol; other elements stay grey.
    texts : mapping of str to str
        Hover text by symbol.
    title : str
        Title of the colour bar.
    scale : Scale
        Scale of the colours.
    """
    bar: dict[str, object] = {
        "title": {"text": title, "side": "top"},
        "orientation": "h",
        "thickness": 8,
        "len": 0.4,
        "y": 0.98,
        "x": 0.4,
        "yanchor": "top",
        "outlinewidth": 0,
    }
    look: dict[str, object] = {"colorscale": "Viridis", "colorbar": bar}
    shown = dict(values)
    if scale is Scale.LOGARITHMIC:
        ticks = [v for v in values.values() if v > 0]
        bar |= _logarithmic_ticks(ticks)
        shown = {symbol: log10(v) for symbol, v in values.items() if v > 0}
    elif scale is Scale.DIVERGING:
        look |= {"colorscale": "RdBu", "zmid": 0}
    absent = [symbol for symbol in _SYMBOLS if symbol not in shown]
    grey = "rgba(128,128,128,0.13)"
    background = _tiles(
        dict.fromkeys(absent, 0.0),
        dict.fromkeys(absent, "not in the data"),
        colorscale=[[0, grey], [1, grey]],
        showscale=False,
        textfont={"color": "rgba(128,128,128,0.8)", "size": 10},
    )
    coloured = _tiles(shown, texts, **look)
    hidden = {"visible": False, "fixedrange": True, "automargin": False}
    return plot(
        [background, coloured],
        xaxis={**hidden, "range": [-0.5, _N_COLUMNS - 0.5]},
        yaxis={**hidden, "range": [_N_ROWS - 0.5, -0.5]},
    )


def _logarithmic_ticks(values: list[float]) -> dict[str, object]:
    """Put ticks at powers of ten, or at both ends where there are fewer than two."""
    if not values:
        return {}
    low, high = log10(min(values)), log10(max(values))
    ticks = [10.0**power for power in range(ceil(low), floor(high) + 1)]
    if len(ticks) < _FEW_TICKS:
        ticks = sorted({min(values), max(values)})
    texts = [f"{tick:,.0f}" for tick in ticks]
    return {"tickvals": [log10(tick) for tick in ticks], "ticktext": texts}


def _tiles(
    values: Mapping[str, float], texts: Mapping[str, str], **look: object
) -> go.Heatmap:
    """Build a heatmap with a tile per element."""
    colours: list[list[float | None]] = [[None] * _N_COLUMNS for _ in range(_N_ROWS)]
    symbols = [[""] * _N_COLUMNS for _ in range(_N_ROWS)]
    hovers = [[""] * _N_COLUMNS for _ in range(_N_ROWS)]
    for symbol, value in values.items():
        row, column = locate(symbol)
        colours[row][column] = value
        symbols[row][column] = symbol
        hovers[row][column] = f"<b>{symbol}</b><br>{texts.get(symbol, '')}"
    return go.Heatmap(
        z=colours,
        text=symbols,
        customdata=hovers,
        texttemplate="%{text}",
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        xgap=2,
        ygap=2,
        **look,
    )
