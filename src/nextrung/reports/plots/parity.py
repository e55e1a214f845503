"""Parity plot and error distribution of predicted energies."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from nextrung.reports.html.elements import element
from nextrung.reports.html.model_style import appearance
from nextrung.reports.plots.figure import (
    Figure,
    equality_line,
    log_axis,
    plot,
    plot_by_model,
)
from nextrung.reports.plots.sampling import choose_points, count_neighbours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

    from nextrung.schemas.evaluation import EvaluationDoc, FrameResiduals

#: Points of the error distribution of one model.
N_SHARES = 101

_COLUMNS = (
    "frame_id",
    "material_id",
    "formula",
    "energy_per_atom",
    "predicted_energy_per_atom",
    "forces_mae",
    "stress_mae",
    "magmoms_mae",
)


def find_test_frames(rows: FrameResiduals) -> list[int]:
    """Find the test frames that have an energy label.

    Parameters
    ----------
    rows : FrameResiduals
        Residuals of the scored frames.
    """
    return [
        index
        for index, split in enumerate(rows.split)
        if split == "test" and rows.energy_per_atom[index] is not None
    ]


def plot_parity(
    documents: Mapping[str, EvaluationDoc], best: str
) -> list[Figure | Element]:
    """Plot predicted against labelled energies of the test frames.

    Parameters
    ----------
    documents : mapping of str to EvaluationDoc
        Documents by model.
    best : str
        The model shown at first.

    Returns
    -------
    list of Figure or Element
        One figure, or a sentence where no test frame was scored.
    """
    chosen = {model: find_test_frames(doc.rows) for model, doc in documents.items()}
    chosen = {model: frames for model, frames in chosen.items() if frames}
    if not chosen:
        return [element("p", "No labelled test frame was scored.", class_="absent")]
    traces = {}
    sampled = ""
    for model, frames in chosen.items():
        points, sampled = _draw_frames(model, documents[model].rows, frames)
        traces[model] = [equality_line(*points.x, *points.y), points]
    caption = (
        "Predicted against labelled energies of the test frames in eV/atom; colour: "
        f"number of frames nearby; dotted line: equality.{sampled}"
    )
    pairs = [(model, index) for model, found in chosen.items() for index in found]
    columns: dict[str, list[object]] = {"model": [model for model, _ in pairs]}
    for name in _COLUMNS:
        columns[name] = [getattr(documents[m].rows, name)[i] for m, i in pairs]
    return [
        plot_by_model(
            "parity", caption, traces, columns=columns, unit="eV/atom", best=best
        )
    ]


def _draw_frames(
    model: str, rows: FrameResiduals, frames: list[int]
) -> tuple[go.Scatter, str]:
    """Draw the frames of one model, sampled where there are too many."""
    labels = np.array([rows.energy_per_atom[i] for i in frames], dtype=np.float64)
    predictions = np.array([rows.predicted_energy_per_atom[i] for i in frames])
    drawn, sampled = choose_points(len(frames), predictions - labels)
    colours = count_neighbours(labels, predictions)
    texts = [
        f"<b>{rows.formula[i]}</b> {escape(rows.frame_id[i])}<br>"
        f"{escape(rows.material_id[i])}"
        for i in (frames[index] for index in drawn)
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
    return points, sampled


def plot_errors(documents: Mapping[str, EvaluationDoc]) -> list[Figure]:
    """Plot the cumulative distribution of the energy errors of the test frames.

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
        model: 1000 * np.sort(np.abs(_compute_errors(document.rows)))
        for model, document in documents.items()
    }
    errors = {model: found for model, found in errors.items() if len(found)}
    if not errors:
        return []
    shares = np.linspace(0, 1, N_SHARES)
    curves = {m: np.quantile(found, shares) for m, found in errors.items()}
    floor = min(float(np.quantile(found, 0.05)) for found in errors.values())
    drawn = plot(
        [_draw_curve(m, np.maximum(c, floor), shares) for m, c in curves.items()],
        "energy error (meV/atom)",
        "share of test frames (%)",
        xaxis=log_axis(v for c in curves.values() for v in (*c.tolist(), floor)),
        showlegend=False,
    )
    columns: dict[str, list[object]] = {"share": shares.tolist()}
    columns |= {f"{m}_meV_per_atom": curve.tolist() for m, curve in curves.items()}
    caption = (
        "Cumulative distribution of the energy errors of the test frames in meV/atom; "
        "a curve further left is better."
    )
    return [Figure("error-shares", caption, drawn, columns, height=460)]


def _compute_errors(rows: FrameResiduals) -> NDArray[np.float64]:
    """Compute the energy errors of the test frames in eV/atom."""
    frames = find_test_frames(rows)
    labels = np.array([rows.energy_per_atom[i] for i in frames], dtype=np.float64)
    return np.array([rows.predicted_energy_per_atom[i] for i in frames]) - labels


def _draw_curve(
    model: str, errors: NDArray[np.float64], shares: NDArray[np.float64]
) -> go.Scatter:
    """Draw the error distribution of one model."""
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
