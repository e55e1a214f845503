"""Section of the scaling law: errors against training size, fits and crossing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.scaling_law.laws import FARTHEST_EXTRAPOLATION
from nextrung.reports.html.elements import (
    MISSING,
    element,
    format_count,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance, model_cell
from nextrung.reports.html.quantities import PROPERTIES
from nextrung.reports.plots.power_laws import plot_law
from nextrung.reports.sections.published_values import CITATION, PAPER_STUDY, SLOPES
from nextrung.reports.sections.section import Section, document_of, explain_absence
from nextrung.schemas.scaling_law import Leader, ScalingLawDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.reports.plots.figure import Figure
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.scaling_law import Crossing
    from nextrung.schemas.study import StudyDoc

_LEADERS = {
    Leader.TRANSFER: "transfer is ahead",
    Leader.SCRATCH: "training from scratch is ahead",
    Leader.NEITHER: "neither transfer nor training from scratch is ahead",
}


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
        element(
            "p",
            f"Errors of the {settings.split} split against the number of training "
            f"frames; power laws are fitted above {settings.fit_above:,} frames.",
        )
    ]
    for name, scaling in document.laws.items():
        blocks += plot_law(name, document.points, scaling)
    blocks += [
        _list_laws(document, study.results.study),
        *_describe_crossings(document),
    ]
    blocks += [*_list_sizes(document), *_list_missing(document)]
    return Section("scaling-law", "Scaling law", tuple(blocks))


def _list_laws(document: ScalingLawDoc, study: str) -> Element:
    """List slope and R² of every fit, or why there is none."""
    rows = []
    for name, scaling in document.laws.items():
        for model, law in scaling.laws.items():
            reason = law.error or "a fit to two points has no R²"
            paper = SLOPES[name].get(model) if study == PAPER_STUDY else None
            remark = f"paper: slope {paper} ({CITATION})" if paper is not None else ""
            rows.append(
                row(
                    model_cell(model),
                    PROPERTIES[name.removesuffix("_mae")].title,
                    number(law.slope, 3, reason=reason),
                    number(law.r_squared, 3, reason=reason),
                    number(law.n_points),
                    law.error or remark,
                )
            )
    titles = numeric("Slope", "R²", "Points fitted")
    return table(["Model", "Property", *titles, "Remark"], rows)


def _describe_crossings(document: ScalingLawDoc) -> list[Element]:
    """Describe the crossing of each property."""
    return [
        element("p", f"{quantity.title}: {describe_crossing(scaling.crossing)}")
        for name, scaling in document.laws.items()
        for quantity in [PROPERTIES[name.removesuffix("_mae")]]
    ]


def describe_crossing(crossing: Crossing) -> str:
    """Describe the crossing of the laws of transfer and scratch.

    Parameters
    ----------
    crossing : Crossing
        The crossing of two laws, or why there is none.
    """
    parts = []
    largest = crossing.largest_size
    if crossing.leader is not None and largest is not None:
        sizes = f"at every size studied, up to {format_count(largest, 'frame')}"
        parts.append(f"{_LEADERS[crossing.leader]} {sizes}")
    if crossing.n_frames is None:
        parts.append(crossing.error or "the fits do not cross")
    elif largest is not None and crossing.n_frames > FARTHEST_EXTRAPOLATION * largest:
        parts.append("the fits cross far beyond the data")
    else:
        beyond = largest is not None and crossing.n_frames > largest
        where = " beyond the data," if beyond else ""
        parts.append(
            f"the fits cross{where} at {crossing.n_frames:,.0f} training frames"
            f"{_describe_interval(crossing)}"
        )
    return f"{'; '.join(parts)}."


def _describe_interval(crossing: Crossing) -> str:
    """Describe the interval of a crossing where it was resampled."""
    if crossing.low is None:
        return ""
    high = "infinity" if crossing.high is None else f"{crossing.high:,.0f}"
    return (
        f" (95 % interval {crossing.low:,.0f} to {high}; they cross in "
        f"{crossing.n_crossing:,} of {crossing.n_resamples:,} resamples)"
    )


def _list_sizes(document: ScalingLawDoc) -> list[Element]:
    """List the training frames that the wanted errors need."""
    rows = [
        row(
            model_cell(size.model),
            quantity.title,
            f"{quantity.format(size.error_wanted)}\N{NO-BREAK SPACE}{quantity.unit}",
            number(size.n_frames, reason=size.error or ""),
            size.error or "",
        )
        for name, scaling in document.laws.items()
        for quantity in [PROPERTIES[name.removesuffix("_mae")]]
        for size in scaling.required_sizes
    ]
    if not rows:
        return []
    needed = numeric("Training frames needed")
    return [table(["Model", "Property", "Wanted error", *needed, "Remark"], rows)]


def _list_missing(document: ScalingLawDoc) -> list[Element]:
    """List the runs without error."""
    return [
        element(
            "p",
            f"{appearance(point.model).title} with {point.n_frames:,} frames "
            f"{MISSING} {point.error}",
            class_="absent",
        )
        for point in document.points
        if point.error
    ]
