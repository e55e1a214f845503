"""Densities of experimental crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from nextrung.reports.markup import (
    MISSING,
    details,
    header,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.models import appearance, model_cell
from nextrung.reports.plots import GUIDE, Figure, plot
from nextrung.reports.sections import Section, documents_of, explain_absence, paragraph
from nextrung.schemas.density import DensityDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.density import DensityRecord
    from nextrung.schemas.study import StudyDoc

#: Range and bins of the paper's Fig. 5.
_RANGE, _N_BINS = (0.80, 1.20), 40


def report_density(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report measured over predicted densities of every model (Fig. 5).

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents: ``density`` of every model.

    Returns
    -------
    Section
        The section of the densities.
    """
    scored = documents_of(documents, "density", DensityDoc)
    if not scored:
        absent = explain_absence("density", study.settings.density)
        return Section("density", "Density", (absent,))
    settings = next(iter(scored.values())).settings
    said: Element | Figure = paragraph(
        f"Experimental crystals ({settings.source}), every lattice vector strained by "
        f"{100 * settings.linear_strain:+.0f} %, relaxed to "
        f"{settings.relaxation.fmax} eV/Å. Ratio: measured over predicted density; "
        "above 1 the model makes the crystal too large."
    )
    drawn = [_plot_ratios(model, document) for model, document in scored.items()]
    histograms = [figure for figure in drawn if figure]
    crystals = details("Every crystal, model by model", _list_crystals(scored))
    blocks = [said, _list_errors(scored), *histograms, crystals]
    return Section("density", "Density", tuple(blocks))


def _list_errors(documents: Mapping[str, DensityDoc]) -> Element:
    """List the errors of every model."""
    reason = "no relaxation converged"
    rows = [
        row(
            model_cell(model),
            number(document.mae, 3, reason=reason),
            number(document.mean_ratio, 4, reason=reason),
            number(document.n_crystals),
            number(document.n_failed),
        )
        for model, document in documents.items()
    ]
    titles = numeric("MAE (g/cm³)", "Mean ratio", "Crystals", "Not converged")
    return table(header("Model", *titles), rows)


def _plot_ratios(model: str, document: DensityDoc) -> Figure | None:
    """Draw the distribution of the ratio of one model."""
    rows = [row for row in document.rows if row.ratio is not None]
    if not rows:
        return None
    ratios = np.array([row.ratio for row in rows], dtype=np.float64)
    counts, edges = np.histogram(ratios, bins=_N_BINS, range=_RANGE)
    outside = len(ratios) - int(counts.sum())
    look = appearance(model)
    bars = go.Bar(
        x=((edges[:-1] + edges[1:]) / 2).round(4).tolist(),
        y=counts.tolist(),
        marker={"color": look.colour},
        hovertemplate="ratio %{x:.3f}: %{y} crystals<extra></extra>",
    )
    drawn = plot(
        [bars],
        "measured / predicted density",
        "crystals",
        bargap=0.05,
        showlegend=False,
        xaxis={"range": _RANGE},
        shapes=[
            {
                "type": "line",
                "x0": 1,
                "x1": 1,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": GUIDE, "dash": "dot"},
            }
        ],
    )
    mae = MISSING if document.mae is None else f"{document.mae:.3f}"
    caption = f"{look.title}: MAE {mae} g/cm³ over {len(rows)} crystals."
    if outside:
        caption += f" {outside} lie outside {_RANGE[0]:.2f} to {_RANGE[1]:.2f}."
    columns = {
        name: [getattr(row, name) for row in rows]
        for name in (
            "crystal_id",
            "formula",
            "experimental_density",
            "predicted_density",
            "ratio",
        )
    }
    return Figure(
        f"density-{model}", caption, drawn, columns, height=240, least_width=288
    )


def _list_crystals(documents: Mapping[str, DensityDoc]) -> Element:
    """List every crystal of every model."""
    rows = [
        row(
            model_cell(model),
            crystal.crystal_id,
            crystal.formula,
            number(crystal.experimental_density, 3),
            number(crystal.predicted_density, 3, reason=_explain(crystal)),
            number(crystal.ratio, 4, reason=_explain(crystal)),
            crystal.status.replace("_", " "),
            crystal.reference or MISSING,
        )
        for model, document in documents.items()
        for crystal in document.rows
    ]
    titles = numeric("Measured (g/cm³)", "Predicted (g/cm³)", "Ratio")
    first, last = ("Model", "Crystal", "Formula"), ("Relaxation", "Reference")
    return table(header(*first, *titles, *last), rows)


def _explain(crystal: DensityRecord) -> str:
    """Say why a crystal has no density or no ratio."""
    return crystal.error or crystal.status.replace("_", " ")
