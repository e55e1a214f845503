"""The hull of every model against the hull of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nextrung.reports.hull import explore_hull
from nextrung.reports.markup import details, header, number, numeric, row, table
from nextrung.reports.models import appearance, model_cell
from nextrung.reports.plots import GUIDE, Figure, plot
from nextrung.reports.relaxation import list_statuses
from nextrung.reports.sampling import choose_points
from nextrung.reports.sections import Section, documents_of, explain_absence, paragraph
from nextrung.schemas.relaxation import RelaxationDoc
from nextrung.schemas.stability import Competitors, StabilityDoc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.stability import StabilityErrors, StabilityRow
    from nextrung.schemas.study import StudyDoc

_RULES = {
    Competitors.OTHER_COMPOSITIONS: "the entries of other compositions",
    Competitors.SELF: "all entries but itself, so that polymorphs compete",
}


def report_stability(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report decomposition energies, stable materials and failed relaxations.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents: ``stability`` and ``relaxation`` of every model.

    Returns
    -------
    Section
        The section of the stability.
    """
    scored = documents_of(documents, "stability", StabilityDoc)
    relaxed = documents_of(documents, "relaxation", RelaxationDoc)
    statuses = {m: doc.statuses for m, doc in (scored | relaxed).items()}
    blocks: list[Element | Figure] = []
    if not scored:
        blocks.append(explain_absence("stability", study.settings.stability))
    else:
        blocks += [_say_rule(scored), *_plot_parity(scored), _list_confusion(scored)]
        blocks.append(_list_errors(scored))
    if statuses:
        blocks += list_statuses(statuses, relaxed)
    elif study.settings.campaign is None:
        blocks.append(explain_absence("relaxation", None))
    blocks += _list_failed(scored)
    blocks += [explore_hull(scored)] if scored else []
    return Section("stability", "Phase stability", tuple(blocks))


def _say_rule(documents: Mapping[str, StabilityDoc]) -> Element:
    """Say how a decomposition energy is defined here."""
    settings = next(iter(documents.values())).settings
    return paragraph(
        "The decomposition energy of a material is its distance from the hull of "
        f"{_RULES[settings.competitors]}; a material is called stable up to "
        f"{1000 * settings.stable_below:.0f} meV/atom. The hull of a model is made of "
        "energies relaxed with that model."
    )


def _plot_parity(documents: Mapping[str, StabilityDoc]) -> list[Figure]:
    """Draw decomposition energies of models against those of the labels."""
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


def _scored_rows(rows: Sequence[StabilityRow]) -> list[StabilityRow]:
    """Keep the materials that have both decomposition energies."""
    return [
        row
        for row in rows
        if row.target_decomposition_energy is not None
        and row.predicted_decomposition_energy is not None
    ]


def _draw_parity(
    model: str, rows: Sequence[StabilityRow]
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
    pairs: Mapping[str, Sequence[StabilityRow]],
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


def _list_confusion(documents: Mapping[str, StabilityDoc]) -> Element:
    """Count stable and unstable materials that a model calls stable or unstable."""
    rows = []
    for model, document in documents.items():
        errors = document.metrics.get("all")
        if errors is not None:
            rows.append(row(model_cell(model), *_count_confusion(errors)))
    titles = numeric(
        "Stable, found",
        "Stable, missed",
        "Unstable, called stable",
        "Unstable, found",
        "Precision",
        "Recall",
        "F1",
        "Same products",
    )
    return table(header("Stable or not, all materials", *titles), rows)


def _count_confusion(errors: StabilityErrors) -> list[Element]:
    """Write the confusion of one model."""
    counts = (
        errors.true_stable,
        errors.false_unstable,
        errors.false_stable,
        errors.true_unstable,
    )
    shares = (errors.precision, errors.recall, errors.f1, errors.same_products)
    reason = "nothing to take a share of"
    return [
        *(number(count) for count in counts),
        *(number(share, 3, reason=reason) for share in shares),
    ]


def _list_errors(documents: Mapping[str, StabilityDoc]) -> Element:
    """List errors by split, without and with unrelaxed energies."""
    rows = [
        row(
            model_cell(model),
            split,
            *_write_errors(errors),
            *_write_errors(document.metrics_with_unrelaxed.get(split))[:1],
        )
        for model, document in documents.items()
        for split, errors in document.metrics.items()
    ]
    titles = numeric(
        "E_decomp MAE (meV/atom)",
        "E_form MAE (meV/atom)",
        "E_form MAE, labels' references (meV/atom)",
        "Materials",
        "Missing",
        "E_decomp MAE, failures unrelaxed (meV/atom)",
    )
    return details(
        "Errors of hulls by split",
        table(header("Model", "Materials of", *titles), rows),
    )


def _write_errors(errors: StabilityErrors | None) -> list[Element]:
    """Write the errors of one model and split."""
    if errors is None:
        return [number(None, reason="not scored")]
    values = (
        errors.decomposition_energy_mae,
        errors.formation_energy_mae,
        errors.formation_energy_mae_target_references,
    )
    reason = "no material has both values"
    return [
        *(number(value, 1, factor=1000, reason=reason) for value in values),
        number(errors.n_materials),
        number(errors.n_missing),
    ]


def _list_failed(documents: Mapping[str, StabilityDoc]) -> list[Element]:
    """List the materials whose relaxation gave no energy, by name."""
    rows = [
        row(
            model_cell(model),
            material.material_id,
            material.formula,
            material.status.replace("_", " "),
            material.error or "",
        )
        for model, document in documents.items()
        for material in document.rows
        if material.predicted_energy_per_atom is None
    ]
    if not rows:
        return []
    titles = header("Model", "Material", "Formula", "Relaxation", "Why")
    return [details(f"Failed relaxations by name ({len(rows)})", table(titles, rows))]
