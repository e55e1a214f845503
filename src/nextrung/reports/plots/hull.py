"""The hull of the labels beside the hulls of models, drawn for two to four elements."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from nextrung.reports.plots.figure import GUIDE, Figure
from nextrung.reports.plots.hull_data import ON_HULL
from nextrung.reports.plots.hull_layout import CORNERS, MOST_COLOURED, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.reports.plots.hull_data import HullData

#: Numbers of elements whose hull can be drawn.
DRAWABLE = (2, *CORNERS)
#: How far outside its corner the name of an element stands, in parts of the distance
#: from the centre.
_OUTSIDE = 0.07
#: Materials on the hull that are named in the drawing, at most; others by the pointer.
_MOST_NAMED = 15


def plot_sides(labels: HullData, models: Sequence[HullData]) -> Figure:
    """Draw the hull of the labels beside that of one model at a time.

    Parameters
    ----------
    labels : HullData
        Materials with the energies of the labels.
    models : sequence of HullData
        The same system with the energies of each model; at least one.

    Returns
    -------
    Figure
        Two panels; a view per model.
    """
    left = _draw_side(labels, 0)
    drawn = [_draw_side(side, 1) for side in models]
    ends = np.cumsum([len(left), *map(len, drawn)]).tolist()
    views = {
        side.title: [*range(len(left)), *range(start, stop)]
        for side, start, stop in zip(models, ends, ends[1:], strict=False)
    }
    titles = (labels.title, models[0].title if len(models) == 1 else "model")
    layout = lay_out(labels.elements, titles)
    return Figure(
        name="hull",
        caption=_describe(len(labels.elements)),
        plot=go.Figure([*left, *chain.from_iterable(drawn)], layout),
        columns=_list_columns([labels, *models]),
        height=560,
        least_width=760,
        shown=models[0].title,
        views=views if len(models) > 1 else {},
    )


def _describe(n_elements: int) -> str:
    """Say what is drawn."""
    where = (
        "Formation energy over composition"
        if n_elements == 2  # noqa: PLR2004
        else "Compositions; lines join phases that coexist on the hull"
    )
    return (
        f"{where}. Filled: on the hull; open: above it, coloured by the energy above "
        f"the hull in meV/atom (of one colour from {MOST_COLOURED:.0f} on). Each side "
        "is measured from its own elemental entries."
    )


def _draw_side(side: HullData, panel: int) -> list[go.Scatter | go.Scatter3d]:
    """Draw edges, materials and names of one side."""
    points = _locate(side)
    edges = side.find_edges()
    gap = np.full(points.shape[1], np.nan)
    ends = [point for pair in edges for point in (*points[list(pair)], gap)]
    corners = _locate_elements(len(side.elements))
    named = [place for place in side.stable if "-" in side.rows[place].chemical_system]
    named = named if len(named) <= _MOST_NAMED else []
    traces = [
        _trace(
            np.array(ends).reshape(-1, points.shape[1]),
            panel,
            mode="lines",
            line={"color": GUIDE, "width": 1.5},
        ),
        _draw_materials(side, points, panel),
        _write(points[named], [side.rows[place].formula for place in named], panel),
    ]
    if len(corners):
        traces.append(_write(corners, [f"<b>{e}</b>" for e in side.elements], panel))
    return traces


def _draw_materials(
    side: HullData, points: NDArray[np.float64], panel: int
) -> go.Scatter | go.Scatter3d:
    """Draw a marker per material, its energies where the pointer is."""
    return _trace(
        points,
        panel,
        mode="markers",
        name=side.title,
        text=[_say(side, place) for place in range(len(side.rows))],
        hoverinfo="text+name",
        marker={
            "color": [round(1000 * energy, 2) for energy in side.above_hull],
            "coloraxis": "coloraxis",
            "symbol": [
                "circle" if energy < ON_HULL else "circle-open"
                for energy in side.above_hull
            ],
            "size": 9 if points.shape[1] == 2 else 5,  # noqa: PLR2004
            "line": {"width": 2},
        },
    )


def _say(side: HullData, place: int) -> str:
    """Name a material and its energies."""
    row = side.rows[place]
    return (
        f"<b>{row.formula}</b> {row.material_id}<br>"
        f"formation {_write_pair(row.target_formation_energy)} (labels)"
        f", {_write_pair(side.formation[place])} (here)<br>"
        f"above hull {_write_pair(row.target_energy_above_hull)} (labels)"
        f", {_write_pair(side.above_hull[place])} (here) meV/atom"
    )


def _write_pair(energy: float | None) -> str:
    """Write an energy in eV/atom as meV/atom."""
    return "–" if energy is None else f"{1000 * energy:.1f}"


def _locate(side: HullData) -> NDArray[np.float64]:
    """Place every material, shape (n_materials, 2 or 3)."""
    n_elements = len(side.elements)
    fractions = [side.fractions(place) for place in range(len(side.rows))]
    shares = np.array(fractions).reshape(-1, n_elements)
    if n_elements in CORNERS:
        return shares @ CORNERS[n_elements]
    return np.column_stack([shares[:, 1], 1000 * np.array(side.formation)])


def _locate_elements(n_elements: int) -> NDArray[np.float64]:
    """Place the names of the elements, a little outside; none on an axis."""
    corners = CORNERS.get(n_elements, np.zeros((0, 2)))
    return (
        corners + 0.07 * (corners - corners.mean(axis=0)) if len(corners) else corners
    )


def _write(
    points: NDArray[np.float64], names: list[str], panel: int
) -> go.Scatter | go.Scatter3d:
    """Write names at points."""
    return _trace(points, panel, mode="text", text=names, textposition="bottom center")


def _trace(
    points: NDArray[np.float64],
    panel: int,
    **options: Any,  # noqa: ANN401
) -> go.Scatter | go.Scatter3d:
    """Put points of two or three coordinates into a panel."""
    suffix = "2" if panel else ""
    options = {"hoverinfo": "skip", "showlegend": False} | options
    axes = dict(zip("xyz", points.T.round(5).tolist(), strict=False))
    if "z" in axes:
        return go.Scatter3d(**axes, scene=f"scene{suffix}", **options)
    return go.Scatter(**axes, xaxis=f"x{suffix}", yaxis=f"y{suffix}", **options)


def _list_columns(sides: Sequence[HullData]) -> dict[str, list[object]]:
    """Lay the materials of all sides out as columns."""
    listed = [(side, place) for side in sides for place in range(len(side.rows))]
    return {
        "energies": [side.title for side, _ in listed],
        "material_id": [side.rows[place].material_id for side, place in listed],
        "formula": [side.rows[place].formula for side, place in listed],
        "formation_energy": [side.formation[place] for side, place in listed],
        "energy_above_hull": [side.above_hull[place] for side, place in listed],
    }
