"""Parity plot of decomposition energies."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nextrung.reports.html.model_style import appearance
from nextrung.reports.html.quantities import ENERGY
from nextrung.reports.plots.figure import (
    GUIDE,
    Figure,
    equality_line,
    plot_by_model,
)
from nextrung.reports.plots.sampling import choose_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.stability.table import LoadedStability, StabilityTable

_COLUMNS = (
    "material_id",
    "formula",
    "split",
    "target_decomposition_energy",
    "predicted_decomposition_energy",
    "target_formation_energy",
    "predicted_formation_energy",
)


def plot_decomposition(
    documents: Mapping[str, LoadedStability], best: str
) -> list[Figure]:
    """Plot predicted against labelled decomposition energies.

    Parameters
    ----------
    documents : mapping of str to LoadedStability
        Documents by model.
    best : str
        The model shown at first.

    Returns
    -------
    list of Figure
        One figure; none where no material has both energies.
    """
    rows = {m: doc.rows.take(doc.rows.compared) for m, doc in documents.items()}
    rows = {model: found for model, found in rows.items() if len(found)}
    if not rows:
        return []
    traces = {}
    sampled = ""
    for model, found in rows.items():
        traces[model], sampled = _draw_model(model, found)
    caption = (
        "Predicted against labelled decomposition energies in meV/atom; below zero: "
        "stable. Coloured: test materials; grey: other materials; dotted line: "
        f"equality.{sampled}"
    )
    figure = plot_by_model(
        "decomposition",
        caption,
        traces,
        columns=_list_columns(rows),
        unit=ENERGY.unit,
        best=best,
    )
    figure.plot.update_layout(xaxis_zeroline=True, yaxis_zeroline=True)
    return [figure]


def _list_columns(rows: Mapping[str, StabilityTable]) -> dict[str, list[Any]]:
    """List the columns of the materials of all models."""
    columns: dict[str, list[Any]] = {
        "model": [model for model, found in rows.items() for _ in range(len(found))]
    }
    return columns | {
        name: [value for found in rows.values() for value in found.list_values(name)]
        for name in _COLUMNS
    }


def _draw_model(model: str, rows: StabilityTable) -> tuple[list[go.Scatter], str]:
    """Draw the line of equality, other materials and test materials of a model."""
    labels = 1000 * rows.target_decomposition_energy
    predictions = 1000 * rows.predicted_decomposition_energy
    drawn, sampled = choose_points(len(rows), predictions - labels)
    formulas, names = rows.formula, rows.material_id
    traces = [equality_line(*labels.tolist(), *predictions.tolist(), 0)]
    for is_test, colour in ((False, GUIDE), (True, appearance(model).colour)):
        chosen = [i for i in drawn if (rows.split[i] == "test") == is_test]
        traces.append(
            go.Scatter(
                x=[round(float(labels[i]), 2) for i in chosen],
                y=[round(float(predictions[i]), 2) for i in chosen],
                text=[f"<b>{formulas[i]}</b> {escape(names[i])}" for i in chosen],
                mode="markers",
                name="test" if is_test else "other",
                marker={"color": colour, "size": 6, "opacity": 0.75},
                hovertemplate="%{text}<br>label %{x:.1f}, prediction %{y:.1f} meV/atom"
                "<extra>%{fullData.name}</extra>",
            )
        )
    return traces, sampled
