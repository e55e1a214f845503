"""Deviations of every crystal from experiment, model by model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nextrung.reports.plots.figure import GUIDE, Figure, plot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.reports.html.model_style import Appearance
    from nextrung.reports.html.quantities import Quantity


@dataclass(frozen=True)
class Deviation:
    """Deviation of one crystal.

    Parameters
    ----------
    crystal_id : str
        Id of the crystal.
    value : float
        Deviation in the stored unit.
    """

    crystal_id: str
    value: float


def plot_deviations(
    name: str,
    caption: str,
    deviations: Mapping[str, Sequence[Deviation]],
    *,
    quantity: Quantity,
    looks: Mapping[str, Appearance],
) -> Figure:
    """Plot the deviations of every crystal as points, one line per model.

    Parameters
    ----------
    name, caption : str
        Name and caption of the figure.
    deviations : mapping of str to sequence of Deviation
        Deviations, by model.
    quantity : Quantity
        Unit of the axis.
    looks : mapping of str to Appearance
        Titles and colours, by model.
    """
    traces = [
        go.Box(
            x=[quantity.factor * each.value for each in found],
            y=[looks[model].title] * len(found),
            text=[each.crystal_id for each in found],
            orientation="h",
            boxpoints="all",
            jitter=0.6,
            pointpos=0,
            marker={"color": looks[model].colour, "size": 6, "opacity": 0.75},
            line={"width": 1.2, "color": looks[model].colour},
            fillcolor="rgba(128,128,128,0.10)",
            hovertemplate="%{text}: %{x:.3g} " + quantity.unit + "<extra></extra>",
            hoveron="points",
            showlegend=False,
        )
        for model, found in deviations.items()
    ]
    zero: dict[str, Any] = {
        "type": "line",
        "x0": 0,
        "x1": 0,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": GUIDE, "dash": "dot"},
    }
    drawn = plot(
        traces,
        f"deviation ({quantity.unit})",
        yaxis={"autorange": "reversed", "automargin": True},
        shapes=[zero],
    )
    pairs = [(model, each) for model, found in deviations.items() for each in found]
    columns: dict[str, list[Any]] = {
        "model": [model for model, _ in pairs],
        "crystal_id": [each.crystal_id for _, each in pairs],
        "deviation": [each.value for _, each in pairs],
    }
    height = 120 + 56 * len(deviations)
    return Figure(name, caption, drawn, columns, height=height, least_width=640)
