"""Plot of the errors of improvement loops against the labels they spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nextrung.reports.plots.figure import GUIDE, Figure, log_axis, plot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.schemas.improvement import ImprovementDoc

#: Colours of the loop and of that beside it, legible on white and on black.
_COLOURS = ("#1f77b4", "#ff7f0e")


def plot_loops(loops: Mapping[str, ImprovementDoc]) -> Figure:
    """Plot errors with their intervals against the labels spent.

    Parameters
    ----------
    loops : mapping of str to ImprovementDoc
        The loop and perhaps one beside it, by their titles.

    Returns
    -------
    Figure
        One point per round; the target is a dotted line.
    """
    first = next(iter(loops.values()))
    target = 1000 * first.settings.target
    traces: list[Any] = [
        _draw(title, loop, colour)
        for (title, loop), colour in zip(loops.items(), _COLOURS, strict=False)
    ]
    errors = [each.energy_mae for loop in loops.values() for each in loop.rounds]
    line = {"color": GUIDE, "dash": "dot", "width": 1.4}
    ends = {"x0": 0, "x1": 1, "xref": "paper", "y0": target, "y1": target}
    drawn = plot(
        traces,
        "labels spent",
        "energy MAE (meV/atom)",
        yaxis=log_axis([target, *(1000 * error for error in errors)]),
        shapes=[{"type": "line", **ends, "line": line}],
    )
    caption = (
        f"Energy MAE of the held-out {first.settings.split} frames, mean over the "
        "trainings of each round, against the labels spent, failed ones too; bars: 95 "
        f"% intervals over materials and trainings; dotted line: target of {target:g} "
        "meV/atom."
    )
    return Figure("improvement", caption, drawn, _list_columns(loops), height=400)


def _draw(title: str, loop: ImprovementDoc, colour: str) -> go.Scatter:
    """Draw the rounds of a loop."""
    rounds = loop.rounds
    above = [(each.high or each.energy_mae) - each.energy_mae for each in rounds]
    below = [
        each.energy_mae - (each.energy_mae if each.low is None else each.low)
        for each in rounds
    ]
    return go.Scatter(
        x=[each.n_labels for each in rounds],
        y=[1000 * each.energy_mae for each in rounds],
        error_y={
            "type": "data",
            "array": [1000 * value for value in above],
            "arrayminus": [1000 * value for value in below],
            "thickness": 1.2,
        },
        mode="lines+markers",
        name=title,
        line={"color": colour},
        marker={"color": colour, "size": 8},
        hovertemplate=f"%{{x}} labels: %{{y:.2f}} meV/atom<extra>{title}</extra>",
    )


def _list_columns(loops: Mapping[str, ImprovementDoc]) -> dict[str, Sequence[Any]]:
    """List the data of the plot in columns."""
    points = [(title, each) for title, loop in loops.items() for each in loop.rounds]
    columns: dict[str, Sequence[Any]] = {"loop": [title for title, _ in points]}
    for name in ("number", "n_labels", "n_failed", "energy_mae", "low", "high"):
        columns[name] = [getattr(each, name) for _, each in points]
    return columns
