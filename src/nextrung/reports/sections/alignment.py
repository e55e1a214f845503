"""How alike the source and the target functional are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nextrung.reports.html.elements import MISSING, count, paragraph
from nextrung.reports.plots.element_alignment import plot_elements
from nextrung.reports.plots.figure import GUIDE, Figure, plot
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
    """Say how much re-referencing aligns the energies."""
    before = _write(document.correlation)
    after = _write(document.correlation_referenced)
    text = (
        f"Source energies ({document.source}, {document.source_energies}) against "
        f"target energies ({document.labels}) of {document.n_frames:,} frames: "
        f"Pearson {RHO} = {before} for total energies per atom, {after} after each "
        f"one's atomic references are subtracted ({document.references})."
    )
    if document.correlation_residual is not None:
        text += (
            " Where the references are shifted by what labels and predictions differ "
            f"by: {_write(document.correlation_residual)}."
        )
    if document.source_energies is SourceEnergies.PREDICTED:
        text += (
            " There are no labels of the source functional: the predictions of the "
            "source potential stand in."
        )
    if study.results.study == PAPER_STUDY:
        text += f" The paper: {CORRELATIONS[0]} and {CORRELATIONS[1]} ({CITATION})."
    if document.n_left_out:
        reasons = "; ".join(f"{why}: {n}" for why, n in document.left_out.items())
        text += f" Left out: {count(document.n_left_out, 'frame')} ({reasons})."
    return paragraph(text)


def _write(correlation: float | None) -> str:
    """Write a correlation, or a dash."""
    return MISSING if correlation is None else f"{correlation:.4f}"


def _plot_energies(document: AlignmentDoc) -> list[Figure]:
    """Draw source against target before and after re-referencing (Fig. 1b, 2b)."""
    rows = document.rows
    if not rows.frame_id:
        return []
    return [
        _plot_joint(
            "alignment-total",
            f"Total energies per atom, {RHO} = {_write(document.correlation)}",
            document,
            energies=(rows.target, rows.source),
        ),
        _plot_joint(
            "alignment-referenced",
            "Energies per atom less atomic references, "
            f"{RHO} = {_write(document.correlation_referenced)}",
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
    """Draw points with the distribution of each coordinate beside them."""
    x, y = energies
    rows = document.rows
    columns = {
        "frame_id": rows.frame_id,
        "material_id": rows.material_id,
        "formula": rows.formula,
        "target_eV_per_atom": x,
        "source_eV_per_atom": y,
    }
    chosen, said = choose_points(len(x))
    labels = [f"{rows.frame_id[i]} · {rows.formula[i]}" for i in chosen]
    ends = [min(*x, *y), max(*x, *y)]
    traces = [
        go.Scatter(
            x=ends, y=ends, mode="lines", line={"color": GUIDE, "dash": "dot"},
            hoverinfo="skip",
        ),
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
    return Figure(name, f"{title}; dotted: equality.{said}", drawn, columns)
