"""How the networks were trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nextrung.reports.html.elements import (
    details,
    element,
    header,
    number,
    numeric,
    paragraph,
    row,
    table,
    write_duration,
)
from nextrung.reports.html.model_style import appearance, model_cell
from nextrung.reports.plots.figure import Figure, log_axis, plot
from nextrung.reports.sections.section import Section, documents_of, list_colours
from nextrung.schemas.fine_tuning import FineTuningDoc, TrackedLayer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.fine_tuning import EpochRecord, GradientRecord

_PROPERTIES = (
    ("energy_mae", "Energy", "meV/atom", 1000.0),
    ("forces_mae", "Forces", "meV/Å", 1000.0),
    ("stress_mae", "Stress", "GPa", 1.0),
    ("magmoms_mae", "Magnetic moments", "μ_B", 1.0),
)


def report_fine_tuning(documents: Mapping[str, TaskDoc]) -> Section:
    """Report gradients and histories of every model.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study: ``fine_tuning`` of every model.

    Returns
    -------
    Section
        The section of the training.
    """
    made = documents_of(documents, "fine_tuning", FineTuningDoc)
    trained = {model: document for model, document in made.items() if document.history}
    blocks: list[Element | Figure] = [_list_models(made)] if made else []
    if trained:
        blocks += [list_colours(trained), *_plot_gradients(trained)]
        blocks += _plot_histories(trained)
    else:
        blocks.append(paragraph("No model of this study was trained.", class_="absent"))
    blocks += _list_unusable(made)
    return Section("fine-tuning", "Training", tuple(blocks))


def _list_models(documents: Mapping[str, FineTuningDoc]) -> Element:
    """List how every model was made, as the table of three choices."""
    titles = ["Model", "Network", "Atom refs", "Trained"]
    counts = ["Frames", "Epochs", "Best epoch", "Time"]
    rows = [
        row(
            model_cell(model),
            "source weights" if document.recipe.pretrained else "random",
            document.recipe.rereference.value,
            document.recipe.trained.replace("_", " "),
            number(document.n_train_frames),
            number(len(document.history)),
            number(document.best_epoch, reason="not trained"),
            element(
                "td", write_duration(document.provenance.wall_time), class_="number"
            ),
        )
        for model, document in documents.items()
    ]
    return table(header(*titles, *numeric(*counts)), rows)


def _plot_gradients(documents: Mapping[str, FineTuningDoc]) -> list[Figure]:
    """Draw the gradients of the first epoch, layer by layer (Fig. 3a)."""
    recorded = {m: doc.gradients for m, doc in documents.items() if doc.gradients}
    if not recorded:
        return []
    columns = _list_gradients(recorded)
    norms = _plot_boxes(
        [_draw_norms(model, records) for model, records in recorded.items()],
        "norm of the gradient",
        log_axis(columns["norm"]),
    )
    ranges = _plot_boxes(
        [_draw_ranges(model, records) for model, records in recorded.items()],
        "components of the gradient",
        {"exponentformat": "power"},
    )
    return [
        Figure(
            "gradient-norms",
            "Norm of the gradient of the loss, layer by layer in the first epoch; one "
            "point per record (compare Fig. 3a of the paper).",
            norms,
            columns,
        ),
        Figure(
            "gradient-components",
            "Components of the same gradients: box from the 25th to the 75th, whiskers "
            "from the 5th to the 95th percentile, over all records.",
            ranges,
            columns,
        ),
    ]


def _plot_boxes(
    boxes: list[go.Box], title: str, axis: Mapping[str, object]
) -> go.Figure:
    """Draw boxes of all models, layer by layer."""
    layers = [layer.value for layer in TrackedLayer]
    return plot(
        boxes,
        y_title=title,
        xaxis={"categoryorder": "array", "categoryarray": layers, "tickangle": -40},
        yaxis=dict(axis),
        boxmode="group",
        showlegend=False,
    )


def _draw_norms(model: str, records: list[GradientRecord]) -> go.Box:
    """Draw the norms of one model."""
    look = appearance(model)
    return go.Box(
        x=[record.layer.value for record in records],
        y=[record.norm for record in records],
        name=look.title,
        marker={"color": look.colour, "size": 4},
        line={"width": 1.2},
        boxpoints="all",
        jitter=0.4,
        pointpos=0,
        hovertemplate="%{x}<br>norm %{y:.3e}<extra>%{fullData.name}</extra>",
    )


def _draw_ranges(model: str, records: list[GradientRecord]) -> go.Box:
    """Draw the range of the components of one model."""
    look = appearance(model)
    by_layer = {
        layer: [record for record in records if record.layer is layer]
        for layer in TrackedLayer
    }
    by_layer = {layer: found for layer, found in by_layer.items() if found}
    return go.Box(
        x=[layer.value for layer in by_layer],
        lowerfence=[min(r.p5 for r in found) for found in by_layer.values()],
        q1=[min(r.p25 for r in found) for found in by_layer.values()],
        median=[sorted(r.median for r in f)[len(f) // 2] for f in by_layer.values()],
        q3=[max(r.p75 for r in found) for found in by_layer.values()],
        upperfence=[max(r.p95 for r in found) for found in by_layer.values()],
        name=look.title,
        marker={"color": look.colour},
        line={"width": 1.2},
    )


def _list_gradients(
    recorded: Mapping[str, list[GradientRecord]],
) -> dict[str, list[Any]]:
    """Lay the gradient records out as columns."""
    pairs = [(model, record) for model, found in recorded.items() for record in found]
    columns: dict[str, list[Any]] = {"model": [model for model, _ in pairs]}
    for name in type(pairs[0][1]).model_fields:
        columns[name] = [getattr(record, name) for _, record in pairs]
    return columns


def _plot_histories(documents: Mapping[str, FineTuningDoc]) -> list[Figure]:
    """Draw the errors of every property over the epochs (Fig. 3b, c)."""
    figures = []
    for name, title, unit, factor in _PROPERTIES:
        curves = {
            (model, split): [
                (epoch, factor * value)
                for epoch, value in _read_history(document.history, split, name)
            ]
            for model, document in documents.items()
            for split in ("train", "val")
        }
        curves = {key: points for key, points in curves.items() if points}
        if curves:
            drawn = plot(
                [_draw_history(*key, points) for key, points in curves.items()],
                "epoch",
                f"MAE ({unit})",
                yaxis=log_axis(v for points in curves.values() for _, v in points),
                showlegend=False,
            )
            caption = (
                f"{title}: mean absolute error in {unit} after every epoch. Solid: "
                "validation split; dotted: training split while the weights moved."
            )
            short = f"history-{name.removesuffix('_mae')}"
            figures.append(Figure(short, caption, drawn, _list_history(curves), 300))
    return figures


def _read_history(
    history: list[EpochRecord], split: str, name: str
) -> list[tuple[int, float]]:
    """Read epochs and errors of one property, where there are labels."""
    values = [(record.epoch, getattr(record, split)) for record in history]
    read = [(epoch, getattr(errors, name)) for epoch, errors in values]
    return [(epoch, value) for epoch, value in read if value is not None]


def _draw_history(
    model: str, split: str, points: list[tuple[int, float]]
) -> go.Scatter:
    """Draw one curve."""
    look = appearance(model)
    dash = "solid" if split == "val" else "dot"
    return go.Scatter(
        x=[epoch for epoch, _ in points],
        y=[value for _, value in points],
        name=f"{look.title}, {split}",
        mode="lines+markers",
        line={"color": look.colour, "dash": dash, "width": 1.8},
        marker={"size": 4},
        hovertemplate="epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
    )


def _list_history(
    curves: Mapping[tuple[str, str], list[tuple[int, float]]],
) -> dict[str, list[object]]:
    """Lay curves out as columns."""
    rows = [(*key, *point) for key, points in curves.items() for point in points]
    names = ("model", "split", "epoch", "mae")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _list_unusable(documents: Mapping[str, FineTuningDoc]) -> list[Element]:
    """List the frames that training left out."""
    rows = [
        row(model_cell(model), frame.frame_id, frame.reason)
        for model, document in documents.items()
        for frame in document.unusable_frames
    ]
    if not rows:
        return []
    title = f"Frames left out of training and validation ({len(rows)})"
    return [details(title, table(header("Model", "Frame", "Why"), rows))]
