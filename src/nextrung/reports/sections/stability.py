"""The hull of every model against the hull of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    count,
    details,
    header,
    number,
    numeric,
    paragraph,
    row,
    table,
)
from nextrung.reports.html.model_style import model_cell
from nextrung.reports.plots.decomposition import plot_decomposition
from nextrung.reports.sections.hull import explore_hull
from nextrung.reports.sections.relaxation import list_statuses
from nextrung.reports.sections.section import Section, documents_of, explain_absence
from nextrung.schemas.relaxation import RelaxationDoc
from nextrung.schemas.stability import Competitors, StabilityDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.reports.plots.figure import Figure
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.stability import StabilityErrors
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
        blocks += [
            _describe_rule(scored),
            *_describe_missing_phases(scored),
            *plot_decomposition(scored),
            _list_confusion(scored),
        ]
        blocks.append(_list_errors(scored))
    if statuses:
        blocks += list_statuses(statuses, relaxed)
    elif study.settings.relaxation is None:
        blocks.append(explain_absence("relaxation", None))
    blocks += _list_failed(scored)
    blocks += [explore_hull(scored)] if scored else []
    return Section("stability", "Phase stability", tuple(blocks))


def _describe_rule(documents: Mapping[str, StabilityDoc]) -> Element:
    """Say how a decomposition energy is defined here."""
    settings = next(iter(documents.values())).settings
    return paragraph(
        "The decomposition energy of a material is its distance from the hull of "
        f"{_RULES[settings.competitors]}; a material is called stable up to "
        f"{1000 * settings.stable_below:.0f} meV/atom. The hull of a model is made of "
        "energies relaxed with that model."
    )


def _describe_missing_phases(documents: Mapping[str, StabilityDoc]) -> list[Element]:
    """Name the elements that the labels have no pure phase of."""
    rows = next(iter(documents.values())).rows
    needed = {symbol for row in rows for symbol in row.chemical_system.split("-")}
    missing = sorted(needed - {row.chemical_system for row in rows})
    if not missing:
        return []
    n_lost = sum(row.target_formation_energy is None for row in rows)
    text = (
        f"The labels hold no pure phase of {', '.join(missing)}: "
        f"{count(n_lost, 'material')} of {len(rows):,} have no formation energy, and "
        "hulls lack what these materials might decompose to. Add the elements to the "
        "data set to score stability."
    )
    return [paragraph(text, class_="absent")]


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
