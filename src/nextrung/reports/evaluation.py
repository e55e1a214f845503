"""How well every model predicts the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from nextrung.reports.markup import details, header, number, numeric, row, table
from nextrung.reports.models import appearance
from nextrung.reports.plots import GUIDE, Figure, plot
from nextrung.reports.sampling import choose_points, count_neighbours
from nextrung.reports.sections import Section, documents_of, explain_absence, paragraph
from nextrung.schemas.evaluation import EvaluationDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.evaluation import FrameResiduals
    from nextrung.schemas.study import StudyDoc

#: Structures of the largest error that are listed per model.
N_WORST = 10

_PROPERTIES = (
    ("energy", "Energy (meV/atom)", 1000.0, 1),
    ("forces", "Forces (meV/Å)", 1000.0, 1),
    ("stress", "Stress (GPa)", 1.0, 3),
    ("magmoms", "Moments (μ_B)", 1.0, 3),
)


def report_evaluation(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report errors by split, parity and the worst structures.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents: ``evaluation`` of every model.

    Returns
    -------
    Section
        The section of the predictions.
    """
    scored = documents_of(documents, "evaluation", EvaluationDoc)
    if not scored:
        absent = explain_absence("evaluation", study.settings.evaluation)
        return Section("evaluation", "Predictions", (absent,))
    blocks = (
        *_plot_parity(scored),
        *_list_worst(scored),
        details("Errors of every split, MAE and RMSE", _list_errors(scored)),
        *_list_failures(scored),
    )
    return Section("evaluation", "Predictions", blocks)


def _test_frames(rows: FrameResiduals) -> list[int]:
    """Find the labelled test frames."""
    return [
        index
        for index, split in enumerate(rows.split)
        if split == "test" and rows.energy_per_atom[index] is not None
    ]


def _plot_parity(documents: Mapping[str, EvaluationDoc]) -> list[Figure | Element]:
    """Draw predicted against labelled energies of the test frames."""
    chosen = {model: _test_frames(doc.rows) for model, doc in documents.items()}
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
    columns = _list_parity(documents, chosen)
    return [Figure("parity", caption, drawn, columns, height=460, views=views)]


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


def _list_worst(documents: Mapping[str, EvaluationDoc]) -> list[Element]:
    """List the structures of the largest energy error, model by model."""
    tables = {
        model: _list_worst_of(document.rows) for model, document in documents.items()
    }
    title = f"The {N_WORST} test structures of the largest energy error: "
    return [
        details(title + appearance(model).title, listed)
        for model, listed in tables.items()
        if listed is not None
    ]


def _list_worst_of(rows: FrameResiduals) -> Element | None:
    """List the structures of the largest energy error of one model."""
    errors = {
        index: rows.predicted_energy_per_atom[index] - label
        for index in _test_frames(rows)
        if (label := rows.energy_per_atom[index]) is not None
    }
    worst = sorted(errors, key=lambda index: -abs(errors[index]))[:N_WORST]
    titles = numeric(
        "Label (eV/atom)",
        "Prediction (eV/atom)",
        "Error (meV/atom)",
        "Forces MAE (meV/Å)",
    )
    listed = [
        row(
            rows.formula[index],
            rows.frame_id[index],
            rows.material_id[index],
            number(rows.energy_per_atom[index], 4),
            number(rows.predicted_energy_per_atom[index], 4),
            number(errors[index], 1, factor=1000),
            number(rows.forces_mae[index], 1, factor=1000, reason="no label"),
        )
        for index in worst
    ]
    if not worst:
        return None
    return table(header("Formula", "Frame", "Material", *titles), listed)


def _list_errors(documents: Mapping[str, EvaluationDoc]) -> Element:
    """List the errors of every model and split."""
    rows = [
        row(
            appearance(model).title,
            split,
            number(errors.n_frames),
            number(errors.n_failed),
            *(
                number(
                    getattr(errors, f"{name}_{kind}"),
                    digits,
                    factor=factor,
                    reason="no labels",
                )
                for name, _, factor, digits in _PROPERTIES
                for kind in ("mae", "rmse")
            ),
        )
        for model, document in documents.items()
        for split, errors in document.metrics.items()
    ]
    titles = [
        title.replace(" (", f" {kind} (")
        for _, title, _, _ in _PROPERTIES
        for kind in ("MAE", "RMSE")
    ]
    counts = ("Frames", "Not predicted")
    return table(header("Model", "Split", *numeric(*counts, *titles)), rows)


def _list_failures(documents: Mapping[str, EvaluationDoc]) -> list[Element]:
    """List the frames that could not be predicted, by reason."""
    rows = [
        row(
            appearance(model).title,
            failure.reason,
            number(len(failure.frame_ids)),
            ", ".join(failure.frame_ids[:N_WORST]),
        )
        for model, document in documents.items()
        for failure in document.failures
    ]
    if not rows:
        return []
    titles = header("Model", "Why", *numeric("Frames"), "The first")
    return [details("Frames that could not be predicted", table(titles, rows))]
