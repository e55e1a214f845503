"""Section of the training: gradients, histories and unusable frames."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nextrung.reports.html.elements import (
    details_table,
    element,
    format_count,
    format_duration,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import (
    appearance,
    describe_recipe,
    model_cell,
)
from nextrung.reports.html.quantities import PROPERTIES
from nextrung.reports.plots.figure import Figure, list_columns, log_axis, plot
from nextrung.reports.sections.section import Section, documents_of, list_colours
from nextrung.schemas.fine_tuning import FineTuningDoc, GradientRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.fine_tuning import EpochRecord


def report_fine_tuning(
    documents: Mapping[str, TaskDoc],
    finished: Collection[str] = (),
    findings: Mapping[str, Mapping[str, str]] | None = None,
) -> Section:
    """Report recipes, gradients and histories of every model.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study: ``fine_tuning`` of every model.
    finished : collection of str
        Names of finished potentials among them.
    findings : mapping of str to mapping of str to str, optional
        Texts of further columns, by trained model and title.

    Returns
    -------
    Section
        The section of the training.
    """
    made = documents_of(documents, "fine_tuning", FineTuningDoc)
    trained = {model: document for model, document in made.items() if document.history}
    blocks: list[Element | Figure] = [_list_models(made, finished)] if made else []
    blocks += _list_predicted_targets(made)
    if trained:
        blocks += [list_colours(trained), *_plot_gradients(trained)]
        blocks += _plot_histories(trained)
    else:
        text = "No model of this study was trained."
        blocks.append(element("p", text, class_="absent"))
    blocks += _list_findings(findings or {})
    blocks += _list_unusable(made)
    return Section("fine-tuning", "Training", tuple(blocks))


def _list_models(
    documents: Mapping[str, FineTuningDoc], finished: Collection[str]
) -> Element:
    """List the recipe, frames and epochs of every model."""
    titles = ["Model", "Network", "Atom refs", "Trained"]
    counts = ["Frames", "Epochs", "Best epoch", "Time"]
    rows = [
        row(
            model_cell(model, document.functional if model in finished else ""),
            _describe_start(document, is_finished=model in finished),
            document.recipe.rereference.value,
            describe_recipe(document.recipe),
            number(document.n_train_frames),
            number(len(document.history)),
            number(document.best_epoch, reason="not trained"),
            element(
                "td", format_duration(document.provenance.wall_time), class_="number"
            ),
        )
        for model, document in documents.items()
    ]
    return table([*titles, *numeric(*counts)], rows)


def _list_predicted_targets(documents: Mapping[str, FineTuningDoc]) -> list[Element]:
    """List what each model was trained on that the source predicted."""
    listed = []
    for model, document in documents.items():
        targets = []
        if document.n_source_labelled:
            n_frames = format_count(document.n_source_labelled, "training frame")
            targets.append(f"the forces and stresses of {n_frames}")
        if document.n_replayed:
            n_crystals = format_count(document.n_replayed, "replayed crystal")
            targets.append(f"all targets of {n_crystals}")
        if targets:
            title = appearance(model).title
            text = f"{title}: {' and '.join(targets)} are predictions of the source."
            listed.append(element("p", f"{text} They are in no error."))
    return listed


def _describe_start(document: FineTuningDoc, *, is_finished: bool) -> str:
    """Describe the weights that a model starts from."""
    if is_finished:
        return "finished potential"
    return "source weights" if document.recipe.pretrained else "random"


def _list_findings(findings: Mapping[str, Mapping[str, str]]) -> list[Element]:
    """List what each trained model gained over the baseline."""
    if not findings:
        return []
    titles = list(next(iter(findings.values())))
    rows = [
        row(model_cell(model), *(texts[title] for title in titles))
        for model, texts in findings.items()
    ]
    note = (
        "Relative difference of test errors and its 95 % interval, over all repeats. "
        "Undertrained: the validation error of energies was still falling, or there "
        "were few steps and forces are not shown to be better than zero."
    )
    return [
        element("h3", "What training gained over the baseline"),
        element("p", note),
        table(["Model", *titles], rows),
    ]


def _plot_gradients(documents: Mapping[str, FineTuningDoc]) -> list[Figure]:
    """Plot the gradients of the first epoch by layer (Fig. 3a)."""
    recorded = {m: doc.gradients for m, doc in documents.items() if doc.gradients}
    if not recorded:
        return []
    columns = list_columns(recorded, GradientRecord.model_fields)
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
            "Norm of the gradient of the loss by layer in the first epoch; one point "
            "per record (compare Fig. 3a of the paper).",
            norms,
            columns,
        ),
        Figure(
            "gradient-components",
            "Components of the same gradients over all records; boxes: 25th to 75th "
            "percentile; whiskers: 5th to 95th percentile.",
            ranges,
            columns,
        ),
    ]


def _plot_boxes(
    boxes: list[go.Box], title: str, axis: Mapping[str, object]
) -> go.Figure:
    """Plot boxes of all models by layer."""
    layers = list(dict.fromkeys(layer for box in boxes for layer in box.x))
    return plot(
        boxes,
        y_title=title,
        xaxis={"categoryorder": "array", "categoryarray": layers, "tickangle": -40},
        yaxis=dict(axis),
        boxmode="group",
        showlegend=False,
    )


def _draw_norms(model: str, records: list[GradientRecord]) -> go.Box:
    """Draw the gradient norms of one model."""
    look = appearance(model)
    return go.Box(
        x=[record.layer for record in records],
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
    """Draw the percentiles of the gradient components of one model."""
    look = appearance(model)
    by_layer: defaultdict[str, list[GradientRecord]] = defaultdict(list)
    for record in records:
        by_layer[record.layer].append(record)
    return go.Box(
        x=list(by_layer),
        lowerfence=[min(r.p5 for r in found) for found in by_layer.values()],
        q1=[min(r.p25 for r in found) for found in by_layer.values()],
        median=[sorted(r.median for r in f)[len(f) // 2] for f in by_layer.values()],
        q3=[max(r.p75 for r in found) for found in by_layer.values()],
        upperfence=[max(r.p95 for r in found) for found in by_layer.values()],
        name=look.title,
        marker={"color": look.colour},
        line={"width": 1.2},
    )


def _plot_histories(documents: Mapping[str, FineTuningDoc]) -> list[Figure]:
    """Plot the errors of every property over the epochs (Fig. 3b, c)."""
    figures = []
    for name, quantity in PROPERTIES.items():
        curves = {
            (model, split): [
                (epoch, quantity.factor * value)
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
                f"MAE ({quantity.unit})",
                yaxis=log_axis(v for points in curves.values() for _, v in points),
                showlegend=False,
            )
            caption = (
                f"{quantity.title}: mean absolute error in {quantity.unit} of every "
                "epoch. Solid: validation split; dotted: training split, averaged over "
                "the epoch."
            )
            columns = _list_history(curves)
            figures.append(Figure(f"history-{name}", caption, drawn, columns, 300))
    return figures


def _read_history(
    history: list[EpochRecord], split: str, name: str
) -> list[tuple[int, float]]:
    """Read epochs and errors of one property; skip epochs without labels."""
    values = [(record.epoch, getattr(record, split)) for record in history]
    read = [(epoch, getattr(errors, f"{name}_mae")) for epoch, errors in values]
    return [(epoch, value) for epoch, value in read if value is not None]


def _draw_history(
    model: str, split: str, points: list[tuple[int, float]]
) -> go.Scatter:
    """Draw the errors of one model and split."""
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
    """List the points of all curves as columns."""
    rows = [(*key, *point) for key, points in curves.items() for point in points]
    names = ("model", "split", "epoch", "mae")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _list_unusable(documents: Mapping[str, FineTuningDoc]) -> list[Element]:
    """List the frames that could not be used for training."""
    rows = [
        row(model_cell(model), frame.frame_id, frame.reason)
        for model, document in documents.items()
        for frame in document.unusable_frames
    ]
    title = f"Frames left out of training and validation ({len(rows)})"
    return details_table(title, ["Model", "Frame", "Reason"], rows)
