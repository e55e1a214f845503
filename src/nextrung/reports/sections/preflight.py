"""Whether a study was worth its computing time, as its preflight found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nextrung.reports.html.elements import (
    count,
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
from nextrung.reports.html.model_style import appearance, model_cell, transfers
from nextrung.reports.plots.figure import GUIDE, Figure, log_axis, plot
from nextrung.reports.sections.section import Section, document_of
from nextrung.schemas.models import Model
from nextrung.schemas.preflight import CheckOutcome, PreflightDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc

#: How outcomes are marked, on the page and on a terminal.
_MARKS = {
    CheckOutcome.PASSED: ("✓", "green"),
    CheckOutcome.WARNING: ("!", "yellow"),
    CheckOutcome.FAILED: ("✗", "red"),
}


def report_preflight(documents: Mapping[str, TaskDoc]) -> Section:
    """Report what the preflight of a study found.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study: ``preflight``, where it was tried out.

    Returns
    -------
    Section
        The section of the preflight.
    """
    document = document_of(documents, "preflight", PreflightDoc)
    if document is None:
        text = "The study was not tried out before it ran (nextrung preflight)."
        blocks: tuple[Element | Figure, ...] = (paragraph(text, class_="absent"),)
        return Section("preflight", "Preflight", blocks)
    return Section("preflight", "Preflight", tuple(_report(document)))


def preflight_table(document: PreflightDoc) -> Table:
    """Lay the checks of a preflight out for a terminal.

    Parameters
    ----------
    document : PreflightDoc
        The preflight.

    Returns
    -------
    rich.table.Table
        One row per check.
    """
    laid = Table("", "Check", "Finding", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for check in document.checks:
        mark, colour = _MARKS[check.outcome]
        laid.add_row(Text(mark, colour), Text(check.name), Text(check.finding))
    return laid


def _report(document: PreflightDoc) -> list[Element | Figure]:
    """Report verdict, checks and trials."""
    verdict = element("b", document.verdict.upper())
    checks = [
        row(
            f"{_MARKS[check.outcome][0]} {check.outcome}",
            check.name,
            _title_models(check.finding),
        )
        for check in document.checks
    ]
    tried = (
        f"{count(document.n_train_frames, 'training frame')} and "
        f"{count(document.n_val_frames, 'validation frame')} of whole materials, "
        f"{count(document.settings.epochs, 'epoch')} each; labels: {document.labels}; "
        f"source: {document.source}."
    )
    return [
        element("p", verdict, f": {_title_models(document.reason)}"),
        table(header("Outcome", "Check", "Finding"), checks),
        paragraph(f"Short trainings on {tried}"),
        _list_trials(document),
        *_plot_gradients(document),
        *_list_out_of_range_frames(document),
    ]


def _title_models(text: str) -> str:
    """Call the transferred models of a sentence as the rest of the page does."""
    for model in filter(transfers, Model):
        text = text.replace(model, appearance(model).title)
    return text


def _list_trials(document: PreflightDoc) -> Element:
    """List the errors of the short trainings, and what the long ones would take."""
    titles = header(
        "Model",
        *numeric("Energy (meV/atom)", "Forces (meV/Å)", "Stress (GPa)"),
        *numeric("Full training on this machine"),
    )
    rows = [
        row(
            model_cell(trial.model),
            number(trial.energy_mae, 1, factor=1000),
            number(trial.forces_mae, 1, factor=1000),
            number(trial.stress_mae, 3),
            element(
                "td",
                write_duration(document.training_times[trial.model]),
                class_="number",
            ),
        )
        for trial in document.trials
    ]
    return table(titles, rows)


def _plot_gradients(document: PreflightDoc) -> list[Figure]:
    """Draw the gradients of transferred models over those of a start from scratch."""
    norms = {trial.model: trial.gradient_norms for trial in document.trials}
    scratch = {k: v for k, v in norms.pop(Model.SCRATCH, {}).items() if v > 0}
    points = [
        (layer.value, model, found[layer] / norm)
        for model, found in norms.items()
        for layer, norm in scratch.items()
        if found.get(layer)
    ]
    if not points:
        return []
    limit = document.settings.max_gradient_ratio
    layers = [layer.value for layer in scratch]
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
        yaxis=log_axis([*ratios, limit], title={"text": "gradient over scratch's"}),
    )
    caption = (
        "Median gradient norm of the first epoch over that of training from scratch, "
        f"layer by layer; dotted: {limit:g}×. MLP_Layer0, the first layer of the "
        "readout, is judged: it sees misaligned references first."
    )
    columns: dict[str, list[object]] = {
        "layer": [layer for layer, *_ in points],
        "model": [model for _, model, _ in points],
        "ratio": [ratio for *_, ratio in points],
    }
    return [Figure("preflight-gradients", caption, drawn, columns)]


def _list_out_of_range_frames(document: PreflightDoc) -> list[Element]:
    """List the first frames that are out of range."""
    if not document.out_of_range_frames:
        return []
    rows = [row(frame.frame_id, frame.reason) for frame in document.out_of_range_frames]
    n_frames = document.n_out_of_range_frames
    title = f"Frames out of range: {n_frames:,}, the first {len(rows)}"
    return [details(title, table(header("Frame", "Why"), rows))]
