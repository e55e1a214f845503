"""Section of the preflight: verdict, checks and short trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nextrung.reports.html.elements import (
    details_table,
    element,
    format_count,
    format_duration,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance, model_cell, transfers
from nextrung.reports.html.quantities import ENERGY, FORCES, STRESS
from nextrung.reports.plots.figure import GUIDE, Figure, log_axis, plot
from nextrung.reports.sections.section import Section, document_of
from nextrung.schemas.models import Model
from nextrung.schemas.preflight import CheckOutcome, PreflightDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc

#: Mark of each outcome, and its colour on a terminal.
_MARKS = {
    CheckOutcome.PASSED: ("✓", "green"),
    CheckOutcome.WARNING: ("!", "yellow"),
    CheckOutcome.FAILED: ("✗", "red"),
}


def report_preflight(documents: Mapping[str, TaskDoc]) -> Section:
    """Report the preflight of a study.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study: ``preflight`` where it was run.

    Returns
    -------
    Section
        The section of the preflight.
    """
    document = document_of(documents, "preflight", PreflightDoc)
    if document is None:
        text = "No preflight was run before this study (nextrung preflight)."
        absent = element("p", text, class_="absent")
        return Section("preflight", "Preflight", (absent,))
    return Section("preflight", "Preflight", tuple(_report(document)))


def preflight_table(document: PreflightDoc) -> Table:
    """Build the table of the checks of a preflight for a terminal.

    Parameters
    ----------
    document : PreflightDoc
        The preflight.

    Returns
    -------
    rich.table.Table
        One row per check.
    """
    titles = ("", "Check", "Model", "Finding")
    built = Table(*titles, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for check in document.checks:
        mark, colour = _MARKS[check.outcome]
        texts = (check.name, check.model or "", check.finding)
        built.add_row(Text(mark, colour), *map(Text, texts))
    return built


def _report(document: PreflightDoc) -> list[Element | Figure]:
    """Report verdict, checks and short trainings."""
    verdict = element("b", document.verdict.upper())
    checks = [
        row(
            f"{_MARKS[check.outcome][0]} {check.outcome}",
            check.name,
            model_cell(check.model) if check.model else "",
            _title_models(check.finding),
        )
        for check in document.checks
    ]
    trained_on = (
        f"{format_count(document.n_train_frames, 'training frame')} and "
        f"{format_count(document.n_val_frames, 'validation frame')} of whole "
        f"materials, {format_count(document.settings.epochs, 'epoch')} each; labels: "
        f"{document.labels}; source: {document.source}."
    )
    return [
        element("p", verdict, f": {_title_models(document.reason)}"),
        table(["Outcome", "Check", "Model", "Finding"], checks),
        element("p", f"Short trainings on {trained_on}"),
        _list_trials(document),
        *_plot_gradients(document),
        *_list_out_of_range_frames(document),
    ]


def _title_models(text: str) -> str:
    """Replace the names of models in a sentence by their titles."""
    for model in filter(transfers, Model):
        text = text.replace(model, appearance(model).title)
    return text


def _list_trials(document: PreflightDoc) -> Element:
    """List the errors of the short trainings and the time of the full ones."""
    quantities = (ENERGY, FORCES, STRESS)
    headings = numeric(*(quantity.heading for quantity in quantities))
    total = numeric("Full training on this machine")
    rows = [
        row(
            model_cell(trial.model),
            ENERGY.cell(trial.energy_mae),
            FORCES.cell(trial.forces_mae),
            STRESS.cell(trial.stress_mae),
            element(
                "td",
                format_duration(document.training_times[trial.model]),
                class_="number",
            ),
        )
        for trial in document.trials
    ]
    return table(["Model", *headings, *total], rows)


def _plot_gradients(document: PreflightDoc) -> list[Figure]:
    """Plot gradient norms relative to those of training from scratch."""
    norms = {trial.model: trial.gradient_norms for trial in document.trials}
    scratch = {k: v for k, v in norms.pop(Model.SCRATCH, {}).items() if v > 0}
    points = [
        (layer, model, found[layer] / norm)
        for model, found in norms.items()
        for layer, norm in scratch.items()
        if found.get(layer)
    ]
    if not points:
        return []
    limit = document.settings.max_gradient_ratio
    layers = list(scratch)
    traces: list[object] = [
        go.Scatter(
            x=layers, y=[limit] * len(layers), mode="lines", hoverinfo="skip",
            line={"color": GUIDE, "dash": "dot"}, showlegend=False,
        )
    ]  # fmt: skip
    for model in norms:
        look = appearance(model)
        mine = [(layer, ratio) for layer, of, ratio in points if of == model]
        traces.append(
            go.Scatter(
                x=[layer for layer, _ in mine],
                y=[ratio for _, ratio in mine],
                name=look.title,
                mode="markers",
                marker={"color": look.colour, "size": 9},
                hovertemplate="%{x}<br>%{y:.2f}×<extra>%{fullData.name}</extra>",
            )
        )
    ratios = [ratio for *_, ratio in points]
    drawn = plot(
        traces,
        yaxis=log_axis(
            [*ratios, limit], title={"text": "gradient relative to scratch"}
        ),
    )
    caption = (
        "Median gradient norm of the first epoch relative to training from scratch, by "
        f"layer; dotted line: {limit:g}×. The check uses MLP_Layer0, the first layer "
        "of the readout, where misaligned references have the largest effect."
    )
    columns: dict[str, list[object]] = {
        "layer": [layer for layer, *_ in points],
        "model": [model for _, model, _ in points],
        "ratio": [ratio for *_, ratio in points],
    }
    return [Figure("preflight-gradients", caption, drawn, columns)]


def _list_out_of_range_frames(document: PreflightDoc) -> list[Element]:
    """List the first frames out of range."""
    rows = [row(frame.frame_id, frame.reason) for frame in document.out_of_range_frames]
    n_frames = document.n_out_of_range_frames
    title = f"Frames out of range ({n_frames:,}; first {len(rows)} listed)"
    return details_table(title, ["Frame", "Reason"], rows)
