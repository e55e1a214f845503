"""Decomposition energies of models against those of the labels, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nextrung.reports.html.model_style import appearance
from nextrung.reports.plots.figure import GUIDE, Figure, plot
from nextrung.reports.plots.sampling import choose_points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.schemas.stability import StabilityDoc, StabilityRecord


def plot_decomposition(documents: Mapping[str, StabilityDoc]) -> list[Figure]:
    """Draw decomposition energies of models against those of the labels.

    Parameters
    ----------
    documents : mapping of str to StabilityDoc
        Documents by model.

    Returns
    -------
    list of Figure
        One figure; none where no material has both energies.
    """
    pairs = {model: _scored_rows(doc.rows) for model, doc in documents.items()}
    pairs = {model: rows for model, rows in pairs.items() if rows}
    if not pairs:
        return []
    traces: list[go.Scatter] = []
    views: dict[str, list[int]] = {}
    said = ""
    for model, rows in pairs.items():
        drawn, said = _draw_parity(model, rows)
        places = range(len(traces), len(traces) + len(drawn))
        views[appearance(model).title] = list(places)
        traces += drawn
    caption = (
        "Decomposition energies of a model against those of the labels in meV/atom; "
        "below zero: stable. Coloured: test materials; grey: the others; dotted: "
        f"equality.{said}"
    )
    drawn = plot(
        traces,
        "label (meV/atom)",
        "prediction (meV/atom)",
        xaxis={"zeroline": True},
        yaxis={"zeroline": True},
        showlegend=False,
    )
    figure = Figure(
        "decomposition",
        caption,
        drawn,
        _list_columns(pairs),
        height=460,
        shown=appearance(_find_best(documents)).title,
        views=views,
    )
    return [figure]


def _find_best(documents: Mapping[str, StabilityDoc]) -> str:
    """Find the model of the lowest decomposition energy error."""
    errors = {model: doc.metrics.get("all") for model, doc in documents.items()}
    known = {m: e.decomposition_energy_mae for m, e in errors.items() if e}
    found = {m: error for m, error in known.items() if error is not None}
    return min(found, key=lambda m: found[m], default=next(iter(documents)))


def _scored_rows(rows: Sequence[StabilityRecord]) -> list[StabilityRecord]:
    """Keep the materials that have both decomposition energies."""
    return [
        row
        for row in rows
        if row.target_decomposition_energy is not None
        and row.predicted_decomposition_energy is not None
    ]


def _draw_parity(
    model: str, rows: Sequence[StabilityRecord]
) -> tuple[list[go.Scatter], str]:
    """Draw the line of equality, the other materials and the test materials."""
    labels = [1000 * (row.target_decomposition_energy or 0) for row in rows]
    predictions = [1000 * (row.predicted_decomposition_energy or 0) for row in rows]
    errors = [b - a for a, b in zip(labels, predictions, strict=True)]
    drawn, said = choose_points(len(rows), errors)
    ends = [min(*labels, *predictions, 0), max(*labels, *predictions, 0)]
    line = {"color": GUIDE, "dash": "dot", "width": 1.2}
    traces = [go.Scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip")]
    for is_test, colour in ((False, GUIDE), (True, appearance(model).colour)):
        places = [place for place in drawn if (rows[place].split == "test") is is_test]
        traces.append(
            go.Scatter(
                x=[round(labels[place], 2) for place in places],
                y=[round(predictions[place], 2) for place in places],
                text=[
                    f"<b>{rows[place].formula}</b> {rows[place].material_id}"
                    for place in places
                ],
                mode="markers",
                name="test" if is_test else "other",
                marker={"color": colour, "size": 6, "opacity": 0.75},
                hovertemplate="%{text}<br>label %{x:.1f}, prediction %{y:.1f} meV/atom"
                "<extra>%{fullData.name}</extra>",
            )
        )
    return traces, said


def _list_columns(
    pairs: Mapping[str, Sequence[StabilityRecord]],
) -> dict[str, list[object]]:
    """Lay the scored materials of all models out as columns."""
    names = (
        "material_id",
        "formula",
        "split",
        "target_decomposition_energy",
        "predicted_decomposition_energy",
        "target_formation_energy",
        "predicted_formation_energy",
    )
    rows = [(model, row) for model, found in pairs.items() for row in found]
    columns: dict[str, list[object]] = {"model": [model for model, _ in rows]}
    return columns | {name: [getattr(row, name) for _, row in rows] for name in names}
