"""Plot of errors against training size, with fitted power laws."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nextrung.reports.html.model_style import appearance, in_order
from nextrung.reports.html.quantities import PROPERTIES
from nextrung.reports.plots.figure import GUIDE, Figure, log_axis, plot, size_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.scaling_law import (
        Crossing,
        PowerLaw,
        PropertyScaling,
        ScalingPoint,
    )

#: Lines end at the crossing if it is below this multiple of the largest size.
_FAR = 30


def plot_law(
    name: str, points: Sequence[ScalingPoint], scaling: PropertyScaling
) -> list[Figure]:
    """Plot points, fitted lines and crossing of one property (Fig. 6).

    Parameters
    ----------
    name : str
        The error: ``energy_mae`` or ``forces_mae``.
    points : sequence of ScalingPoint
        All runs.
    scaling : PropertyScaling
        Fits and crossing of this error.

    Returns
    -------
    list of Figure
        One figure; none where no run has this error.
    """
    known = [point for point in points if getattr(point, name) is not None]
    trained = [point for point in known if point.n_frames]
    if not trained:
        return []
    quantity = PROPERTIES[name.removesuffix("_mae")]
    ends = _find_ends(trained, scaling.crossing)
    traces = []
    for model in in_order({point.model for point in trained}):
        mine = [point for point in trained if point.model == model]
        traces += _draw_model(name, mine, scaling.laws.get(model), ends=ends)
    untrained = [point for point in known if not point.n_frames]
    drawn = plot(
        traces,
        "training frames",
        f"{quantity.title} MAE ({quantity.unit})",
        xaxis=size_axis([point.n_frames for point in trained], ends[1]),
        yaxis=log_axis(1000 * getattr(point, name) for point in known),
        shapes=[
            *(_draw_level(1000 * getattr(p, name), p.model) for p in untrained),
            *_draw_crossing(scaling.crossing, ends),
        ],
    )
    caption = _describe(name, untrained, scaling.crossing)
    columns: dict[str, list[Any]] = {
        field: [getattr(point, field) for point in points]
        for field in ("model", "n_frames", "n_materials", name)
    }
    short = f"scaling-{name.removesuffix('_mae')}"
    return [Figure(short, caption, drawn, columns, height=400)]


def _find_ends(
    points: Sequence[ScalingPoint], crossing: Crossing
) -> tuple[float, float]:
    """Find the smallest and the largest size of the lines."""
    sizes: list[float] = [point.n_frames for point in points]
    if crossing.n_frames and crossing.n_frames < _FAR * max(sizes):
        sizes.append(crossing.n_frames)
    return min(sizes), max(sizes)


def _draw_model(
    name: str,
    points: Sequence[ScalingPoint],
    law: PowerLaw | None,
    *,
    ends: tuple[float, float],
) -> list[go.Scatter]:
    """Draw the runs of one model and their power law."""
    look = appearance(points[0].model)
    title, lines = look.title, []
    if law is not None and law.slope is not None and law.intercept is not None:
        title += f", slope {law.slope:.3f}".replace("-", "\N{MINUS SIGN}")
        values = [1000 * 10 ** (law.intercept + law.slope * log10(n)) for n in ends]
        lines = [
            go.Scatter(
                x=list(ends),
                y=values,
                mode="lines",
                line={"color": look.colour, "width": 1.5, "dash": "dash"},
                hoverinfo="skip",
                showlegend=False,
            )
        ]
    runs = go.Scatter(
        x=[point.n_frames for point in points],
        y=[1000 * getattr(point, name) for point in points],
        customdata=[point.n_materials for point in points],
        mode="markers",
        name=title,
        marker={"color": look.colour, "size": 9},
        hovertemplate="%{x:,} frames of %{customdata:,} materials: %{y:.2f}"
        f"<extra>{look.title}</extra>",
    )
    return [runs, *lines]


def _draw_level(value: float, model: str) -> dict[str, object]:
    """Draw the error without training as a horizontal line."""
    line = {"color": appearance(model).colour, "dash": "dot", "width": 1.4}
    ends = {"x0": 0, "x1": 1, "xref": "paper", "y0": value, "y1": value}
    return {"type": "line", **ends, "line": line}


def _draw_crossing(
    crossing: Crossing, ends: tuple[float, float]
) -> list[dict[str, object]]:
    """Draw the crossing of the laws and its interval."""
    if crossing.n_frames is None or crossing.n_frames > ends[1]:
        return []
    size = crossing.n_frames
    line = {"color": GUIDE, "dash": "dot", "width": 1.4}
    column = {"yref": "paper", "y0": 0, "y1": 1}
    shapes = [{"type": "line", **column, "x0": size, "x1": size, "line": line}]
    if crossing.low is not None:
        band = {"type": "rect", "x0": crossing.low, "x1": crossing.high or ends[1]}
        look = {"fillcolor": "rgba(128,128,128,0.12)", "line": {"width": 0}}
        shapes.append(band | column | look)
    return shapes


def _describe(name: str, untrained: Sequence[ScalingPoint], crossing: Crossing) -> str:
    """Write the caption."""
    quantity = PROPERTIES[name.removesuffix("_mae")]
    text = f"{quantity.title}: error against training size, both axes logarithmic."
    levels = "; ".join(
        f"{appearance(p.model).title} {quantity.format(getattr(p, name))} "
        f"{quantity.unit}"
        for p in untrained
    )
    if levels:
        text += f" Horizontal lines: without training ({levels})."
    if crossing.n_frames is not None:
        text += " Vertical line: crossing of the fits; grey: its 95 % interval."
    return text
