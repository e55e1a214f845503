"""Section of the scaling law: errors against training size, fits and crossing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.scaling_law.laws import (
    FAR_EXTRAPOLATION,
    FARTHEST_EXTRAPOLATION,
)
from nextrung.reports.html.elements import (
    MISSING,
    details_table,
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
from nextrung.schemas.scaling_law import (
    FittedReferences,
    Leader,
    ScalingLawDoc,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.reports.plots.figure import Figure
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.scaling_law import Crossing, RequiredSize
    from nextrung.schemas.study import StudyDoc

_LEADERS = {
    Leader.TRANSFER: "transfer is ahead",
    Leader.SCRATCH: "training from scratch is ahead",
    Leader.NEITHER: "neither transfer nor training from scratch is ahead",
}


_REFERENCES = {
    FittedReferences.SUBSET: "the frames of each training",
    FittedReferences.TRAINING_SPLIT: "the whole training split whatever the size, so "
    "that errors of small sizes are too low",
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
    fitted_to = _REFERENCES[settings.fitted_references]
    blocks: list[Element | Figure] = [
        element(
            "p",
            f"Errors of the {settings.split} split against the number of training "
            f"frames; power laws are fitted above {settings.fit_above:,} frames. "
            f"Atomic references are fitted to {fitted_to}.",
        ),
        *_list_unscored(document),
    ]
    for name, scaling in document.laws.items():
        blocks += plot_law(name, document.points, scaling)
    blocks += [
        _list_laws(document, study.results.study),
        *_describe_crossings(document),
    ]
    blocks += [*_list_sizes(document), *_list_missing(document)]
    return Section("scaling-law", "Scaling law", tuple(blocks))


def _list_unscored(document: ScalingLawDoc) -> list[Element]:
    """List the points whose errors leave out frames of the split."""
    rows = [
        row(
            model_cell(point.model),
            number(point.n_frames),
            number(point.seed),
            number(point.n_unscored),
            number(point.n_scored + point.n_unscored),
        )
        for point in document.points
        if point.n_unscored
    ]
    titles = numeric(
        "Training frames", "Seed", "Frames not scored", "Frames of the split"
    )
    title = (
        f"{len(rows)} of {len(document.points)} errors leave frames out, most of them "
        "for an element that no training frame has: they are not of the same frames"
    )
    return details_table(title, ["Model", *titles], rows) if rows else []


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
    described = [
        element("p", f"{quantity.title}: {describe_crossing(scaling.crossing)}")
        for name, scaling in document.laws.items()
        for quantity in [PROPERTIES[name.removesuffix("_mae")]]
    ]
    if "forces_mae" not in document.laws:
        split = document.settings.split
        text = f"Forces: no law, as no frame of the {split} split has forces."
        described.append(element("p", text))
    return described


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
        where = _compare_with_data(crossing.n_frames, largest)
        parts.append(
            f"the fits cross{where} at {crossing.n_frames:,.0f} training frames"
        )
    parts[-1] += _describe_interval(crossing.low, crossing.high)
    if crossing.undertrained_sizes:
        sizes = ", ".join(f"{size:,}" for size in crossing.undertrained_sizes)
        parts.append(
            f"training from scratch is undertrained at {sizes} frames: its validation "
            "error still fell in the last epochs, and longer training would move the "
            "crossing to fewer frames"
        )
    return f"{'; '.join(parts)}."


def _compare_with_data(n_frames: float, largest: int | None) -> str:
    """Describe how far a crossing is beyond the largest size."""
    if largest is None or n_frames <= largest:
        return ""
    if n_frames > FAR_EXTRAPOLATION * largest:
        return f", extrapolated {n_frames / largest:,.0f}-fold beyond the data,"
    return " beyond the data,"


def _describe_interval(low: float | None, high: float | None) -> str:
    """Describe a 95 % interval, if there is one."""
    if low is None:
        return ""
    end = "infinity" if high is None else f"{high:,.0f}"
    return f" (95 % interval {low:,.0f} to {end})"


def describe_size(size: RequiredSize) -> str:
    """Describe the interval of a required size, and whether it is extrapolated.

    Parameters
    ----------
    size : RequiredSize
        A size, or why it is unknown.

    Returns
    -------
    str
        Words that follow the number; empty without any.
    """
    words = _describe_interval(size.low, size.high)
    return f"{words}, extrapolated" if size.extrapolated else words


def _list_sizes(document: ScalingLawDoc) -> list[Element]:
    """List the training frames that the wanted errors need."""
    rows = [
        row(
            model_cell(size.model),
            quantity.title,
            f"{quantity.format(size.error_wanted)}\N{NO-BREAK SPACE}{quantity.unit}",
            number(size.n_frames, reason=size.error or ""),
            size.error or describe_size(size).strip(),
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
