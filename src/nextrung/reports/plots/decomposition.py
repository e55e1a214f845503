"""Parity plot of decomposition energies."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nextrung.reports.html.model_style import appearance
from nextrung.reports.html.quantities import ENERGY
from nextrung.reports.plots.figure import (
    GUIDE,
    Figure,
    equality_line,
    list_columns,
    plot_by_model,
)
from nextrung.reports.plots.sampling import choose_points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.schemas.stability import StabilityDoc, StabilityRecord

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
    documents: Mapping[str, StabilityDoc], best: str
) -> list[Figure]:
    """Plot predicted against labelled decomposition energies.

    Parameters
    ----------
    documents : mapping of str to StabilityDoc
        Documents by model.
    best : str
        The model shown at first.

    Returns
    -------
    list of Figure
        One figure; none where no material has both energies.
    """
    rows = {model: _select_scored(doc.rows) for model, doc in documents.items()}
    rows = {model: found for model, found in rows.items() if found}
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
        columns=list_columns(rows, _COLUMNS),
        unit=ENERGY.unit,
        best=best,
    )
    figure.plot.update_layout(xaxis_zeroline=True, yaxis_zeroline=True)
    return [figure]


def _select_scored(rows: Sequence[StabilityRecord]) -> list[StabilityRecord]:
    """Select the materials that have both decomposition energies."""
    return [
        row
        for row in rows
        if row.target_decomposition_energy is not None
        and row.predicted_decomposition_energy is not None
    ]


def _draw_model(
    model: str, rows: Sequence[StabilityRecord]
) -> tuple[list[go.Scatter], str]:
    """Draw the line of equality, other materials and test materials of a model."""
    labels = [1000 * (row.target_decomposition_energy or 0) for row in rows]
    predictions = [1000 * (row.predicted_decomposition_energy or 0) for row in rows]
    errors = [b - a for a, b in zip(labels, predictions, strict=True)]
    drawn, sampled = choose_points(len(rows), errors)
    texts = [f"<b>{row.formula}</b> {escape(row.material_id)}" for row in rows]
    traces = [equality_line(*labels, *predictions, 0)]
    for is_test, colour in ((False, GUIDE), (True, appearance(model).colour)):
        chosen = [i for i in drawn if (rows[i].split == "test") is is_test]
        traces.append(
            go.Scatter(
                x=[round(labels[i], 2) for i in chosen],
                y=[round(predictions[i], 2) for i in chosen],
                text=[texts[i] for i in chosen],
                mode="markers",
                name="test" if is_test else "other",
                marker={"color": colour, "size": 6, "opacity": 0.75},
                hovertemplate="%{text}<br>label %{x:.1f}, prediction %{y:.1f} meV/atom"
                "<extra>%{fullData.name}</extra>",
            )
        )
    return traces, sampled
