"""Predictions against labels as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from nextrung.reports.html.elements import paragraph
from nextrung.reports.html.model_style import appearance
from nextrung.reports.plots.figure import GUIDE, Figure, log_axis, plot
from nextrung.reports.plots.sampling import choose_points, count_neighbours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

    from nextrung.schemas.evaluation import EvaluationDoc, FrameResiduals

#: Points of the curve of errors of one model.
N_SHARES = 101


def find_test_frames(rows: FrameResiduals) -> list[int]:
    """Find the labelled test frames.

    Parameters
    ----------
    rows : FrameResiduals
        Contribution of each scored frame.

    Returns
    -------
    list of int
        Their places among the rows.
    """
    return [
        index
        for index, split in enumerate(rows.split)
        if split == "test" and rows.energy_per_atom[index] is not None
    ]


def plot_parity(
    documents: Mapping[str, EvaluationDoc], best: str
) -> list[Figure | Element]:
    """Draw predicted against labelled energies of the test frames.

    Parameters
    ----------
    documents : mapping of str to EvaluationDoc
        Documents by model.
    best : str
        The model to begin with.

    Returns
    -------
    list of Figure or Element
        One figure, or a sentence where no test frame was scored.
    """
    chosen = {model: find_test_frames(doc.rows) for model, doc in documents.items()}
    chosen = {model: frames for model, frames in chosen.items() if frames}
    if not chosen:
        return [paragraph("No labelled test frame was scored.", class_="absent")]
    traces: list[go.Scatter] = []
    views: dict[str, tuple[int, int]] = {}
    said = ""
    for model, frames in chosen.items():
        rows = documents[model].rows
        points, said = _draw_parity(model, rows, frames)
        views[appearance(model).title] = (len(traces), len(traces) + 1)
        traces += [_draw_equality(points), points]
    caption = (
        "Predicted against labelled energies of the test frames in eV/atom; the colour "
        f"is the number of frames nearby, the dotted line equality.{said}"
    )
    drawn = plot(
        traces,
        "label (eV/atom)",
        "prediction (eV/atom)",
        showlegend=False,
    )
    figure = Figure(
        "parity",
        caption,
        drawn,
        _list_parity(documents, chosen),
        height=460,
        shown=appearance(best).title,
        views=views,
    )
    return [figure]


def plot_errors(documents: Mapping[str, EvaluationDoc]) -> list[Figure]:
    """Draw the share of test frames below an energy error, model by model.

    Parameters
    ----------
    documents : mapping of str to EvaluationDoc
        Documents by model.

    Returns
    -------
    list of Figure
        One figure; none where no test frame was scored.
    """
    errors = {
        model: 1000 * np.sort(np.abs(_energy_errors(document.rows)))
        for model, document in documents.items()
    }
    errors = {model: found for model, found in errors.items() if len(found)}
    if not errors:
        return []
    shares = np.linspace(0, 1, N_SHARES)
    curves = {m: np.quantile(found, shares) for m, found in errors.items()}
    floor = min(float(np.quantile(found, 0.05)) for found in errors.values())
    drawn = plot(
        [_draw_shares(m, np.maximum(c, floor), shares) for m, c in curves.items()],
        "energy error (meV/atom)",
        "share of test frames (%)",
        xaxis=log_axis(v for c in curves.values() for v in (*c.tolist(), floor)),
        showlegend=False,
    )
    columns: dict[str, list[object]] = {"share": shares.tolist()}
    columns |= {f"{m}_meV_per_atom": curve.tolist() for m, curve in curves.items()}
    caption = (
        "Share of the test frames whose energy error is below a value in meV/atom; a "
        "curve further left is better."
    )
    return [Figure("error-shares", caption, drawn, columns, height=460)]


def _energy_errors(rows: FrameResiduals) -> NDArray[np.float64]:
    """Compute the energy errors of the test frames in eV/atom."""
    frames = find_test_frames(rows)
    labels = np.array([rows.energy_per_atom[i] for i in frames], dtype=np.float64)
    return np.array([rows.predicted_energy_per_atom[i] for i in frames]) - labels


def _draw_shares(
    model: str, errors: NDArray[np.float64], shares: NDArray[np.float64]
) -> go.Scatter:
    """Draw the curve of one model."""
    look = appearance(model)
    return go.Scatter(
        x=errors.round(4).tolist(),
        y=(100 * shares).round(1).tolist(),
        mode="lines",
        name=look.title,
        line={"color": look.colour, "width": 1.8},
        hovertemplate="%{y:.0f} % below %{x:.4g} meV/atom"
        "<extra>%{fullData.name}</extra>",
    )


def _draw_parity(
    model: str, rows: FrameResiduals, frames: list[int]
) -> tuple[go.Scatter, str]:
    """Draw the frames of one model; too many are sampled."""
    labels = np.array([rows.energy_per_atom[i] for i in frames], dtype=np.float64)
    predictions = np.array([rows.predicted_energy_per_atom[i] for i in frames])
    drawn, said = choose_points(len(frames), predictions - labels)
    colours = count_neighbours(labels, predictions)
    texts = [
        f"<b>{rows.formula[i]}</b> {rows.frame_id[i]}<br>{rows.material_id[i]}"
        for i in (frames[place] for place in drawn)
    ]
    points = go.Scatter(
        x=labels[drawn].tolist(),
        y=predictions[drawn].tolist(),
        text=texts,
        customdata=(1000 * (predictions - labels))[drawn].round(1).tolist(),
        mode="markers",
        name=appearance(model).title,
        marker={
            "size": 6,
            "opacity": 0.8,
            "color": colours[drawn].round(2).tolist(),
            "colorscale": "Plasma",
            "line": {"width": 0},
        },
        hovertemplate="%{text}<br>label %{x:.4f}, prediction %{y:.4f} eV/atom<br>"
        "error %{customdata} meV/atom<extra></extra>",
    )
    return points, said


def _draw_equality(points: go.Scatter) -> go.Scatter:
    """Draw the line where both coordinates are equal."""
    ends = [min(*points.x, *points.y), max(*points.x, *points.y)]
    return go.Scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": GUIDE, "dash": "dot", "width": 1.2},
        hoverinfo="skip",
    )


def _list_parity(
    documents: Mapping[str, EvaluationDoc], chosen: Mapping[str, list[int]]
) -> dict[str, list[object]]:
    """Lay the test frames of all models out as columns."""
    names = (
        "frame_id",
        "material_id",
        "formula",
        "energy_per_atom",
        "predicted_energy_per_atom",
        "forces_mae",
        "stress_mae",
        "magmoms_mae",
    )
    pairs = [(model, index) for model, found in chosen.items() for index in found]
    columns: dict[str, list[object]] = {"model": [model for model, _ in pairs]}
    for name in names:
        columns[name] = [getattr(documents[m].rows, name)[i] for m, i in pairs]
    return columns
