"""Figures as files for papers: PDF and PNG, drawn by a browser without a window."""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import plotly.graph_objects as go

    from nextrung.reports.plots.figure import Figure

#: Formats, and the pixels per unit of length of each.
FORMATS = {"pdf": 1.0, "png": 3.0}

#: Width of an image in units of length, and seconds one may take.
WIDTH, TIMEOUT = 640, 180

#: Names from which a plot needs a legend.
TWO_NAMES = 2

_AXIS = {
    "automargin": True,
    "gridcolor": "#e7ebef",
    "linecolor": "#5a6673",
    "ticks": "outside",
    "zerolinecolor": "#b9c2cb",
}
#: Colours of what is not data, on white paper.
_LOOK: dict[str, Any] = {
    "font": {"family": "Arial, Helvetica, sans-serif", "size": 14, "color": "#000000"},
    "paper_bgcolor": "#ffffff",
    "plot_bgcolor": "#ffffff",
    "xaxis": _AXIS,
    "yaxis": _AXIS,
}


def write_images(figures: Iterable[Figure], folder: Path) -> list[Path]:
    """Write figures as PDF and as PNG, one file each.

    Parameters
    ----------
    figures : iterable of Figure
        The figures, each in the view it begins with.
    folder : Path
        Where to write; made where it does not exist.

    Returns
    -------
    list of Path
        The files, figure by figure.

    Raises
    ------
    InputError
        If there is no browser to draw them, or it fails.
    """
    from kaleido import errors  # noqa: PLC0415 - takes its time

    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        {
            "fig": apply_print_style(figure),
            "path": folder / f"{figure.name}.{suffix}",
            "opts": {
                "format": suffix,
                "scale": scale,
                "width": WIDTH,
                "height": max(figure.height, 320),
            },
        }
        for figure in figures
        for suffix, scale in FORMATS.items()
    ]
    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop already
            thread.submit(_draw, tasks).result()
    except errors.ChromeNotFoundError as error:
        raise InputError(
            "expected Chrome or Chromium to draw figures as PDF and PNG, got none; "
            "their data are written as CSV"
        ) from error
    except (errors.KaleidoError, errors.BrowserFailedError, TimeoutError) as error:
        raise InputError(f"expected a browser to draw figures, got: {error}") from error
    return [task["path"] for task in tasks]


def _draw(tasks: list[dict[str, Any]]) -> None:
    """Draw all images in one browser."""
    asyncio.run(_draw_all(tasks))


async def _draw_all(tasks: list[dict[str, Any]]) -> None:
    """Start a browser, and have it draw."""
    from kaleido import Kaleido  # noqa: PLC0415

    async with Kaleido(timeout=TIMEOUT, mathjax=False) as browser:
        await browser.write_fig_from_object(tasks, cancel_on_error=True)


def apply_print_style(figure: Figure) -> go.Figure:
    """Give a plot the colours of paper, and the view it begins with.

    Parameters
    ----------
    figure : Figure
        The figure; it is not changed.

    Returns
    -------
    plotly.graph_objects.Figure
        What is drawn.
    """
    drawn = copy.deepcopy(figure.plot)
    drawn.update_layout(template={"layout": _LOOK})
    if figure.views:
        shown = figure.shown or next(iter(figure.views))
        for place, trace in enumerate(drawn.data):
            trace.visible = place in figure.views[shown]
    _name_traces(drawn)
    return drawn


def _name_traces(drawn: go.Figure) -> None:
    """Give a plot a legend where the page has one for several figures."""
    visible = [trace for trace in drawn.data if trace.visible is not False]
    named = {trace.name: trace for trace in reversed(visible) if trace.name}
    if len(named) < TWO_NAMES:
        return
    for trace in visible:
        trace.showlegend = any(trace is first for first in named.values())
    drawn.update_layout(showlegend=True)
