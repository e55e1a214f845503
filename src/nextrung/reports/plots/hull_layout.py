"""Where things are in the drawing of two hulls side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Where pure elements lie in drawings of three and four of them.
CORNERS: Mapping[int, NDArray[np.float64]] = {
    3: np.array([[0, 0], [1, 0], [0.5, np.sqrt(0.75)]]),
    4: np.array(
        [
            [0, 0, 0],
            [1, 0, 0],
            [0.5, np.sqrt(0.75), 0],
            [0.5, np.sqrt(1 / 12), np.sqrt(2 / 3)],
        ]
    ),
}
#: Energies above the hull in meV/atom from which all points have one colour.
MOST_COLOURED = 200.0
#: Left and right panel, in parts of the width.
_DOMAINS = ([0.0, 0.47], [0.53, 1.0])
#: Top of the scale of colours, in parts of the height, leaving room for an axis.
_BELOW = -0.12


def lay_out(elements: tuple[str, ...], titles: tuple[str, str]) -> dict[str, Any]:
    """Describe both panels, their titles and the scale of colours.

    Parameters
    ----------
    elements : tuple of str
        Symbols of the system, in the order of :data:`CORNERS`; two to four of them.
    titles : tuple of str
        Titles of the left and the right panel.

    Returns
    -------
    dict
        Plotly's layout.
    """
    layout: dict[str, Any] = {
        "margin": {"l": 10, "r": 10, "t": 40, "b": 10},
        "hovermode": "closest",
        "coloraxis": {
            "colorscale": "Viridis",
            "cmin": 0,
            "cmax": MOST_COLOURED,
            "colorbar": {
                "title": {"text": "above hull (meV/atom)", "side": "top"},
                "orientation": "h",
                "yanchor": "top",
                "y": _BELOW,
                "thickness": 10,
                "len": 0.5,
            },
        },
        "annotations": [
            {
                "text": f"<b>{title}</b>",
                "x": sum(domain) / 2,
                "y": 1.03,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
            }
            for title, domain in zip(titles, _DOMAINS, strict=True)
        ],
    }
    for domain, suffix in zip(_DOMAINS, ("", "2"), strict=True):
        layout |= _lay_out_panel(elements, domain, suffix)
    return layout


def _lay_out_panel(
    elements: tuple[str, ...], domain: list[float], suffix: str
) -> dict[str, Any]:
    """Describe the axes of one panel."""
    if len(elements) == max(CORNERS):
        hidden = {"visible": False, "showspikes": False}
        axes = {f"{axis}axis": hidden for axis in "xyz"}
        return {f"scene{suffix}": {**axes, "domain": {"x": domain}}}
    x_axis: dict[str, Any] = {"domain": domain}
    y_axis: dict[str, Any] = {"anchor": f"x{suffix}"}
    if len(elements) in CORNERS:
        x_axis |= {"visible": False}
        y_axis |= {"visible": False, "scaleanchor": f"x{suffix}"}
    else:
        x_axis |= {"title": {"text": f"fraction of {elements[1]}"}}
        title = {"title": {"text": "formation energy (meV/atom)"}}
        y_axis |= {"matches": "y"} if suffix else title
    return {f"xaxis{suffix}": x_axis, f"yaxis{suffix}": y_axis}
