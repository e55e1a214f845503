"""Section of the correlation of source and target energies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nextrung.reports.html.elements import MISSING, element, format_count
from nextrung.reports.plots.element_alignment import plot_elements
from nextrung.reports.plots.figure import Figure, equality_line, plot
from nextrung.reports.plots.sampling import choose_points
from nextrung.reports.sections.atom_refs import list_atom_refs
from nextrung.reports.sections.published_values import (
    CITATION,
    CORRELATIONS,
    PAPER_STUDY,
)
from nextrung.reports.sections.section import (
    Section,
    document_of,
    documents_of,
    explain_absence,
)
from nextrung.schemas.alignment import AlignmentDoc, SourceEnergies
from nextrung.schemas.atom_refs import AtomRefDoc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc

#: Symbol of the Pearson correlation.
RHO = "\N{GREEK SMALL LETTER RHO}"

_SOURCE_COLOUR, _TARGET_COLOUR = "#ee8434", "#3b86e0"


def report_alignment(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report correlation, shift per element and importance of elements.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents: ``alignment`` and the ``atom_refs``.

    Returns
    -------
    Section
        The section of the energy alignment.
    """
    document = document_of(documents, "alignment", AlignmentDoc)
    blocks: list[Element | Figure] = []
    if document is None:
        blocks.append(explain_absence("alignment", study.settings.alignment))
    else:
        blocks += [
            _describe_correlation(study, document),
            *_plot_energies(document),
            *plot_elements(document),
        ]
    blocks += list_atom_refs(documents_of(documents, "atom_refs", AtomRefDoc))
    return Section("alignment", "Energy alignment", tuple(blocks))


def _describe_correlation(study: StudyDoc, document: AlignmentDoc) -> Element:
    """Describe the correlation before and after re-referencing."""
    before = _format(document.correlation)
    after = _format(document.correlation_referenced)
    text = (
        f"Source energies ({document.source}, {document.source_energies}) against "
        f"target energies ({document.labels}) of {document.n_frames:,} frames: "
        f"Pearson {RHO} = {before} for total energies per atom, {after} after "
        f"subtraction of atomic references ({document.references})."
    )
    if document.correlation_residual is not None:
        text += (
            " After a shift of the references by the difference of labels and "
            f"predictions: {_format(document.correlation_residual)}."
        )
    if document.source_energies is SourceEnergies.PREDICTED:
        text += (
            " There are no labels of the source functional: source energies are "
            "predictions of the source potential."
        )
    if (counts := document.source_counts) is not None:
        text += (
            f" Of the source functional, {counts.n_frames:,} frames were read and "
            f"{sum(counts.n_rejected.values()):,} files or documents rejected; "
            f"{counts.n_paired:,} target frames have a partner among them."
        )
    if study.results.study == PAPER_STUDY:
        text += f" The paper: {CORRELATIONS[0]} and {CORRELATIONS[1]} ({CITATION})."
    if document.n_left_out:
        reasons = "; ".join(f"{why}: {n}" for why, n in document.left_out.items())
        text += f" Left out: {format_count(document.n_left_out, 'frame')} ({reasons})."
    return element("p", text)


def _format(correlation: float | None) -> str:
    """Format a correlation; a dash where it is missing."""
    return MISSING if correlation is None else f"{correlation:.4f}"


def _plot_energies(document: AlignmentDoc) -> list[Figure]:
    """Plot source against target energies, total and re-referenced (Fig. 1b, 2b)."""
    rows = document.rows
    if not rows.frame_id:
        return []
    return [
        _plot_joint(
            "alignment-total",
            f"Total energies per atom, {RHO} = {_format(document.correlation)}",
            document,
            energies=(rows.target, rows.source),
        ),
        _plot_joint(
            "alignment-referenced",
            "Energies per atom without atomic references, "
            f"{RHO} = {_format(document.correlation_referenced)}",
            document,
            energies=(rows.target_referenced, rows.source_referenced),
        ),
    ]


def _plot_joint(
    name: str,
    title: str,
    document: AlignmentDoc,
    *,
    energies: tuple[Sequence[float], Sequence[float]],
) -> Figure:
    """Plot points with a histogram of each coordinate."""
    x, y = energies
    rows = document.rows
    columns = {
        "frame_id": rows.frame_id,
        "material_id": rows.material_id,
        "formula": rows.formula,
        "target_eV_per_atom": x,
        "source_eV_per_atom": y,
    }
    chosen, sampled = choose_points(len(x))
    labels = [f"{rows.frame_id[i]} · {rows.formula[i]}" for i in chosen]
    traces = [
        equality_line(*x, *y),
        go.Scatter(
            x=[x[i] for i in chosen],
            y=[y[i] for i in chosen],
            text=labels,
            mode="markers",
            marker={"size": 5, "opacity": 0.55, "color": _TARGET_COLOUR},
            hovertemplate="%{text}<br>target %{x:.3f} eV/atom<br>"
            "source %{y:.3f} eV/atom<extra></extra>",
        ),
        go.Histogram(
            x=x, yaxis="y2", marker={"color": _TARGET_COLOUR}, hoverinfo="skip",
            nbinsx=40,
        ),
        go.Histogram(
            y=y, xaxis="x2", marker={"color": _SOURCE_COLOUR}, hoverinfo="skip",
            nbinsy=40,
        ),
    ]  # fmt: skip
    bare = {"visible": False, "fixedrange": True, "automargin": False}
    drawn = plot(
        traces,
        xaxis={"domain": [0, 0.84], "title": {"text": "target energy (eV/atom)"}},
        yaxis={"domain": [0, 0.84], "title": {"text": "source energy (eV/atom)"}},
        xaxis2={"domain": [0.86, 1], **bare},
        yaxis2={"domain": [0.86, 1], **bare},
        showlegend=False,
    )
    return Figure(name, f"{title}; dotted line: equality.{sampled}", drawn, columns)
