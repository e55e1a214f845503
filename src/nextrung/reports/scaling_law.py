"""Errors against training size, and what transfer saves."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nextrung.reports.markup import MISSING, header, number, numeric, row, table
from nextrung.reports.models import appearance
from nextrung.reports.paper import CITATION, PAPER_STUDY, SLOPES
from nextrung.reports.plots import Figure, plot
from nextrung.reports.sections import Section, document_of, explain_absence, paragraph
from nextrung.schemas.scaling_law import ScalingLawDoc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.scaling_law import (
        Crossing,
        PowerLaw,
        PropertyScaling,
        ScalingPoint,
    )
    from nextrung.schemas.study import StudyDoc

_PROPERTIES = {"energy_mae": ("Energy", "meV/atom"), "forces_mae": ("Forces", "meV/Å")}


def report_scaling_law(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report points, fits, crossing and sizes of the scaling law (Fig. 6).

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents: ``scaling_law``.

    Returns
    -------
    Section
        The section of the scaling law.
    """
    document = document_of(documents, "scaling_law", ScalingLawDoc)
    if document is None:
        absent = explain_absence("scaling law", study.settings.scaling_law)
        return Section("scaling-law", "Scaling law", (absent,))
    settings = document.settings
    blocks: list[Element | Figure] = [
        paragraph(
            f"Errors of the {settings.split} split against the number of training "
            f"frames; laws are fitted above {settings.fit_above:,} frames."
        )
    ]
    for name, scaling in document.laws.items():
        blocks += _plot_law(name, document.points, scaling)
    blocks += [_list_laws(document, study.results.study), *_say_crossings(document)]
    blocks += [*_list_sizes(document), *_list_missing(document)]
    return Section("scaling-law", "Scaling law", tuple(blocks))


def _plot_law(
    name: str, points: Sequence[ScalingPoint], scaling: PropertyScaling
) -> list[Figure]:
    """Draw points and fitted lines of one property."""
    title, unit = _PROPERTIES[name]
    known = [p for p in points if p.n_frames and getattr(p, name) is not None]
    if not known:
        return []
    traces = []
    sizes = [point.n_frames for point in known]
    for model in sorted({point.model for point in known}):
        mine = [point for point in known if point.model == model]
        traces.append(_draw_points(model, mine, name))
        law = scaling.laws.get(model)
        if law is not None and law.slope is not None:
            traces.append(_draw_law(model, law, (min(sizes), max(sizes))))
    zero = [p for p in points if p.n_frames == 0 and getattr(p, name) is not None]
    level = [_draw_level(point, name) for point in zero]
    said = ""
    if zero:
        said = " Horizontal: " + "; ".join(
            f"{appearance(p.model).title} without training "
            f"{1000 * getattr(p, name):,.1f} {unit}"
            for p in zero
        )
        said += "."
    drawn = plot(
        traces,
        "training frames",
        f"{title} MAE ({unit})",
        xaxis={"type": "log", "dtick": 1},
        yaxis={"type": "log"},
        shapes=level,
    )
    caption = f"{title}: error against training size, both axes logarithmic.{said}"
    columns: dict[str, list[object]] = {
        "model": [point.model.value for point in points],
        "n_frames": [point.n_frames for point in points],
        "n_materials": [point.n_materials for point in points],
        name: [getattr(point, name) for point in points],
    }
    short = f"scaling-{name.removesuffix('_mae')}"
    return [Figure(short, caption, drawn, columns, height=400)]


def _draw_points(model: str, points: Sequence[ScalingPoint], name: str) -> go.Scatter:
    """Draw the runs of one model."""
    look = appearance(model)
    return go.Scatter(
        x=[point.n_frames for point in points],
        y=[1000 * getattr(point, name) for point in points],
        customdata=[point.n_materials for point in points],
        mode="markers",
        name=look.title,
        marker={"color": look.colour, "size": 9},
        hovertemplate="%{x:,} frames of %{customdata:,} materials: %{y:.2f}"
        "<extra>%{fullData.name}</extra>",
    )


def _draw_law(model: str, law: PowerLaw, sizes: tuple[int, int]) -> go.Scatter:
    """Draw the fitted line of one model over the sizes that were run."""
    look = appearance(model)
    slope, intercept = law.slope or 0.0, law.intercept or 0.0
    values = [1000 * 10 ** (intercept + slope * log10(size)) for size in sizes]
    return go.Scatter(
        x=list(sizes),
        y=values,
        mode="lines",
        name=f"{look.title}: slope {slope:.3f}",
        line={"color": look.colour, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
    )


def _draw_level(point: ScalingPoint, name: str) -> dict[str, object]:
    """Draw the error without any training as a level."""
    value = 1000 * getattr(point, name)
    line = {"color": appearance(point.model).colour, "dash": "dot", "width": 1.2}
    ends = {"x0": 0, "x1": 1, "xref": "paper", "y0": value, "y1": value}
    return {"type": "line", **ends, "line": line}


def _list_laws(document: ScalingLawDoc, study: str) -> Element:
    """List exponent and quality of every fit, or why there is none."""
    rows = []
    for name, scaling in document.laws.items():
        for model, law in scaling.laws.items():
            reason = law.error or "two points leave nothing to judge the fit by"
            paper = SLOPES[name].get(model) if study == PAPER_STUDY else None
            said = f"paper: slope {paper} ({CITATION})" if paper is not None else ""
            rows.append(
                row(
                    _PROPERTIES[name][0],
                    appearance(model).title,
                    number(law.slope, 3, reason=reason),
                    number(law.r_squared, 3, reason=reason),
                    number(law.n_points),
                    law.error or said,
                )
            )
    titles = numeric("Slope", "R²", "Points fitted")
    return table(header("Property", "Model", *titles, "Remark"), rows)


def _say_crossings(document: ScalingLawDoc) -> list[Element]:
    """Say where transfer meets scratch, property by property."""
    return [
        paragraph(f"{_PROPERTIES[name][0]}: {say_crossing(scaling.crossing)}")
        for name, scaling in document.laws.items()
    ]


def say_crossing(crossing: Crossing) -> str:
    """Say where transfer meets scratch.

    Parameters
    ----------
    crossing : Crossing
        The crossing of two laws, or why there is none.

    Returns
    -------
    str
        A sentence.
    """
    if crossing.n_frames is None:
        reason = crossing.error or "the laws do not cross"
        return f"no crossing of transfer and scratch ({reason})."
    text = f"transfer and scratch cross at {crossing.n_frames:,.0f} training frames"
    if crossing.low is None:
        return f"{text}."
    high = "infinity" if crossing.high is None else f"{crossing.high:,.0f}"
    return (
        f"{text} (95 % interval {crossing.low:,.0f} to {high}; the laws cross in "
        f"{crossing.n_crossing:,} of {crossing.n_resamples:,} resamples)."
    )


def _list_sizes(document: ScalingLawDoc) -> list[Element]:
    """List the structures that wanted errors ask for."""
    rows = [
        row(
            f"{1000 * size.error_wanted:,.1f} {_PROPERTIES[name][1]}",
            _PROPERTIES[name][0],
            appearance(size.model).title,
            number(size.n_frames, reason=size.error or ""),
            size.error or "",
        )
        for name, scaling in document.laws.items()
        for size in scaling.required_sizes
    ]
    if not rows:
        return []
    needed = numeric("Training frames needed")
    return [table(header("Wanted error", "Property", "Model", *needed, "Remark"), rows)]


def _list_missing(document: ScalingLawDoc) -> list[Element]:
    """Say which runs gave no error."""
    return [
        paragraph(
            f"{appearance(point.model).title} with {point.n_frames:,} frames "
            f"{MISSING} {point.error}",
            class_="absent",
        )
        for point in document.points
        if point.error
    ]
