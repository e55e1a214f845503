"""Figures as PDF and PNG, drawn by a headless browser."""

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

#: Formats, and pixels per unit of length.
FORMATS = {"pdf": 1.0, "png": 3.0}

#: Width of an image in units of length, and timeout per image in s.
WIDTH, TIMEOUT = 640, 180

#: A plot with this many names or more has a legend.
TWO_NAMES = 2

_AXIS = {
    "automargin": True,
    "gridcolor": "#e7ebef",
    "linecolor": "#5a6673",
    "ticks": "outside",
    "zerolinecolor": "#b9c2cb",
}
#: Colours of everything but data, on white paper.
_LAYOUT: dict[str, Any] = {
    "font": {"family": "Arial, Helvetica, sans-serif", "size": 14, "color": "#000000"},
    "paper_bgcolor": "#ffffff",
    "plot_bgcolor": "#ffffff",
    "xaxis": _AXIS,
    "yaxis": _AXIS,
}


def write_images(figures: Iterable[Figure], folder: Path) -> list[Path]:
    """Write figures as PDF and PNG, one file each.

    Parameters
    ----------
    figures : iterable of Figure
        The figures; of several views the one shown at first is drawn.
    folder : Path
        Folder to write to; created if missing.

    Returns
    -------
    list of Path
        The files, figure by figure.

    Raises
    ------
    InputError
        If kaleido or a browser is missing, or the browser fails.
    """
    try:
        from kaleido import errors  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise InputError(
            "expected kaleido to draw figures as PDF and PNG, got none; "
            "pip install 'nextrung[figures]' (their data are written as CSV)"
        ) from error
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
        with ThreadPoolExecutor(1) as thread:  # this thread may run an event loop
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
    """Start a browser and draw all images with it."""
    from kaleido import Kaleido  # noqa: PLC0415

    async with Kaleido(timeout=TIMEOUT, mathjax=False) as browser:
        await browser.write_fig_from_object(tasks, cancel_on_error=True)


def apply_print_style(figure: Figure) -> go.Figure:
    """Apply the colours of paper and the view shown at first.

    Parameters
    ----------
    figure : Figure
        The figure; it is not changed.

    Returns
    -------
    plotly.graph_objects.Figure
        A copy of the plot.
    """
    drawn = copy.deepcopy(figure.plot)
    drawn.update_layout(template={"layout": _LAYOUT})
    if figure.views:
        shown = figure.shown or next(iter(figure.views))
        for index, trace in enumerate(drawn.data):
            trace.visible = index in figure.views[shown]
    _add_legend(drawn)
    return drawn


def _add_legend(drawn: go.Figure) -> None:
    """Add a legend, which on the page serves several figures."""
    visible = [trace for trace in drawn.data if trace.visible is not False]
    named = {trace.name: trace for trace in reversed(visible) if trace.name}
    if len(named) < TWO_NAMES:
        return
    for trace in visible:
        trace.showlegend = any(trace is first for first in named.values())
    drawn.update_layout(showlegend=True)
