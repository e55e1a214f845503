"""Section of the densities of experimental crystals."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

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
from nextrung.reports.html.quantities import DENSITY
from nextrung.reports.plots.figure import GUIDE, Figure, plot
from nextrung.reports.sections.section import Section, documents_of, explain_absence
from nextrung.schemas.density import DensityDoc

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.density import DensityRecord
    from nextrung.schemas.study import StudyDoc

#: Range of the paper's Fig. 5, widest range shown, and width of a bin.
_PAPER_RANGE, _WIDEST, _BIN = (0.80, 1.20), (0.50, 1.50), 0.01

#: Below this largest count an axis has a tick at every count.
_FEW = 6

_COLUMNS = (
    "crystal_id",
    "formula",
    "experimental_density",
    "predicted_density",
    "ratio",
)


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
    method = element(
        "p",
        f"Experimental crystals ({settings.source}), every lattice vector strained by "
        f"{100 * settings.linear_strain:+.0f} %, relaxed to "
        f"{settings.relaxation.fmax} eV/Å. Ratio: measured over predicted density; "
        "above 1 the model predicts too large a volume. A model has no density of a "
        "crystal with an element without reference energy or with a relaxation that "
        "did not converge: models are compared over the crystals common to all.",
    )
    shown = _find_range(scored)
    drawn = [_plot_ratios(model, doc, shown) for model, doc in scored.items()]
    histograms = [figure for figure in drawn if figure]
    blocks: list[Element | Figure] = [method, _list_errors(scored)]
    blocks += [*histograms, *_list_crystals(scored)]
    return Section("density", "Density", tuple(blocks))


def score_common_crystals(
    documents: Mapping[str, TaskDoc],
) -> tuple[int, dict[str, float]]:
    """Score the densities of the crystals that all models relax.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study: ``density`` of every model.

    Returns
    -------
    int
        Number of these crystals.
    dict of str to float
        Mean absolute error over them in g/cm³, of the models that relax others too.
    """
    scored = documents_of(documents, "density", DensityDoc)
    common = _find_common(scored)
    errors = {
        model: _score_common(doc, common)
        for model, doc in scored.items()
        if _find_predicted(doc) != common
    }
    known = {model: error for model, error in errors.items() if error is not None}
    return len(common), known


def _list_errors(documents: Mapping[str, DensityDoc]) -> Element:
    """List errors over the crystals of each model and over those common to all."""
    reason = "no relaxation converged"
    common = _find_common(documents)
    rows = [
        row(
            model_cell(model),
            DENSITY.cell(document.mae, reason),
            number(document.mean_ratio, 4, reason=reason),
            number(len(_find_predicted(document))),
            number(document.n_failed),
            DENSITY.cell(_score_common(document, common), "no common crystal"),
        )
        for model, document in documents.items()
    ]
    titles = numeric(
        "MAE (g/cm³)",
        "Mean ratio",
        "Crystals",
        "Without density",
        f"MAE over the {len(common)} common to all models (g/cm³)",
    )
    return table(["Model", *titles], rows)


def _find_common(documents: Mapping[str, DensityDoc]) -> set[str]:
    """Find the crystals whose density all models predict."""
    found = [_find_predicted(document) for document in documents.values()]
    return set.intersection(*found) if found else set()


def _find_predicted(document: DensityDoc) -> set[str]:
    """Find the crystals whose density a model predicts."""
    return {row.crystal_id for row in document.rows if row.ratio is not None}


def _score_common(document: DensityDoc, common: Collection[str]) -> float | None:
    """Compute the mean absolute error over some crystals in g/cm³."""
    errors = [
        abs(row.experimental_density - row.predicted_density)
        for row in document.rows
        if row.crystal_id in common
        and row.predicted_density is not None
        and row.experimental_density is not None
    ]
    return float(np.mean(errors)) if errors else None


def _find_range(documents: Mapping[str, DensityDoc]) -> tuple[float, float]:
    """Find the range of the histograms: the paper's, or a wider one for all ratios."""
    rows = [row for document in documents.values() for row in document.rows]
    ratios = [row.ratio for row in rows if row.ratio is not None]
    low = floor(10 * min([_PAPER_RANGE[0], *ratios])) / 10
    high = ceil(10 * max([_PAPER_RANGE[1], *ratios])) / 10
    return max(low, _WIDEST[0]), min(high, _WIDEST[1])


def _plot_ratios(
    model: str, document: DensityDoc, shown: tuple[float, float]
) -> Figure | None:
    """Plot the histogram of the density ratios of one model."""
    rows = [row for row in document.rows if row.ratio is not None]
    if not rows:
        return None
    ratios = np.array([row.ratio for row in rows], dtype=np.float64)
    n_bins = round((shown[1] - shown[0]) / _BIN)
    counts, edges = np.histogram(ratios, bins=n_bins, range=shown)
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
        xaxis={"range": shown},
        yaxis={"dtick": 1} if counts.max() < _FEW else {},
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
    caption = (
        f"{look.title}: MAE {DENSITY.format(document.mae)} g/cm³ over "
        f"{format_count(len(rows), 'crystal')}."
    )
    if outside:
        caption += f" Outside {shown[0]:.1f} to {shown[1]:.1f}: {outside}."
    columns = {name: [getattr(row, name) for row in rows] for name in _COLUMNS}
    return Figure(
        f"density-{model}", caption, drawn, columns, height=240, least_width=288
    )


def _list_crystals(documents: Mapping[str, DensityDoc]) -> list[Element]:
    """List every crystal of every model."""
    rows = [
        row(
            model_cell(model),
            crystal.crystal_id,
            crystal.formula or MISSING,
            DENSITY.cell(crystal.experimental_density),
            DENSITY.cell(crystal.predicted_density, _explain(crystal)),
            number(crystal.ratio, 4, reason=_explain(crystal)),
            crystal.status.replace("_", " "),
            crystal.reference or MISSING,
        )
        for model, document in documents.items()
        for crystal in document.rows
    ]
    titles = numeric("Measured (g/cm³)", "Predicted (g/cm³)", "Ratio")
    return details_table(
        "Every crystal, model by model",
        ["Model", "Crystal", "Formula", *titles, "Status", "Reference"],
        rows,
    )


def _explain(crystal: DensityRecord) -> str:
    """Explain why a crystal has no density or no ratio."""
    return crystal.error or crystal.status.replace("_", " ")
