"""Section of the phase stability: hulls of models against the hull of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.reports.html.elements import (
    details_table,
    element,
    format_count,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import in_order, model_cell
from nextrung.reports.html.quantities import ENERGY
from nextrung.reports.plots.decomposition import plot_decomposition
from nextrung.reports.sections.benchmarks import find_best
from nextrung.reports.sections.hull import build_explorer, rank_systems
from nextrung.reports.sections.relaxation import list_statuses
from nextrung.reports.sections.section import Section, documents_of, explain_absence
from nextrung.schemas.relaxation import RelaxationDoc
from nextrung.schemas.stability import Competitors, StabilityDoc
from nextrung.schemas.stability.table import LoadedStability

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from xml.etree.ElementTree import Element

    from nextrung.reports.plots.figure import Figure
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.stability import StabilityErrors
    from nextrung.schemas.study import StudyDoc

_COMPETITORS = {
    Competitors.OTHER_COMPOSITIONS: "the entries of other compositions",
    Competitors.SELF: "all other entries, polymorphs included",
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
        The section of the phase stability.
    """
    scored = documents_of(documents, "stability", StabilityDoc)
    relaxed = documents_of(documents, "relaxation", RelaxationDoc)
    statuses = {m: doc.statuses for m, doc in (scored | relaxed).items()}
    blocks: list[Element | Figure] = []
    if scored:
        blocks += _report_hulls(scored, study.results.finished)
    else:
        blocks.append(explain_absence("stability", study.settings.stability))
    if statuses:
        blocks += list_statuses(statuses, relaxed)
    elif study.settings.relaxation is None:
        blocks.append(explain_absence("relaxation", None))
    blocks += _list_failed(_select_loaded(scored))
    if with_rows := _select_loaded(scored):
        systems = rank_systems(next(iter(with_rows.values())).rows)
        blocks += [
            element("h3", "Hull explorer"),
            build_explorer(with_rows, systems),
            element("div", class_="hull-table scroll"),
        ]
    return Section("stability", "Phase stability", tuple(blocks))


def _select_loaded(
    documents: Mapping[str, StabilityDoc],
) -> dict[str, LoadedStability]:
    """Select the documents whose rows are loaded."""
    return {m: doc for m, doc in documents.items() if isinstance(doc, LoadedStability)}


def _report_hulls(
    documents: Mapping[str, StabilityDoc], finished: Collection[str]
) -> list[Element | Figure]:
    """Report the errors of decomposition energies and of stability."""
    errors = {model: doc.metrics.get("all") for model, doc in documents.items()}
    energies = {
        model: found.decomposition_energy_mae
        for model, found in errors.items()
        if found and model not in finished
    }
    best = (find_best(energies) or list(documents))[0]
    with_rows = _select_loaded(documents)
    return [
        _describe_competitors(documents),
        *_describe_missing_tables(documents),
        *_describe_missing_phases(with_rows),
        *plot_decomposition(with_rows, best),
        _list_confusion({model: e for model, e in errors.items() if e}),
        *_list_errors(documents),
    ]


def _describe_competitors(documents: Mapping[str, StabilityDoc]) -> Element:
    """Define the decomposition energy and the limit of stability."""
    settings = next(iter(documents.values())).settings
    return element(
        "p",
        "The decomposition energy of a material is its energy relative to the hull of "
        f"{_COMPETITORS[settings.competitors]}. A material is stable up to "
        f"{1000 * settings.stable_below:.0f} meV/atom. The hull of a model is built "
        "from the energies of structures relaxed with that model.",
    )


def _describe_missing_tables(documents: Mapping[str, StabilityDoc]) -> list[Element]:
    """List the models whose table of materials is not on this machine."""
    missing = documents.keys() - _select_loaded(documents).keys()
    files = [documents[model].records.path for model in in_order(missing)]
    if not files:
        return []
    text = (
        f"Plots of materials, the hull explorer and intervals leave out "
        f"{format_count(len(files), 'model')}: expected the tables of its materials "
        f"in the artifacts folder of this machine, got no {', '.join(files)}."
    )
    return [element("p", text, class_="absent")]


def _describe_missing_phases(
    documents: Mapping[str, LoadedStability],
) -> list[Element]:
    """List the elements without a labelled pure phase."""
    rows = next((doc.rows for doc in documents.values()), None)
    if rows is None:
        return []
    systems = set(rows.chemical_system.tolist())
    needed = {symbol for system in systems for symbol in system.split("-")}
    missing = sorted(needed - systems)
    if not missing:
        return []
    n_missing = int(np.isnan(rows.target_formation_energy).sum())
    text = (
        f"The labels have no pure phase of {', '.join(missing)}: "
        f"{format_count(n_missing, 'material')} of {len(rows):,} have no formation "
        "energy, and hulls lack their competing phases. Add the elements to the data "
        "set to score stability."
    )
    return [element("p", text, class_="absent")]


def _list_confusion(errors: Mapping[str, StabilityErrors]) -> Element:
    """List the confusion matrix, precision, recall and F1 of every model."""
    reason = "no material to take a share of"
    rows = [
        row(
            model_cell(model),
            number(found.true_stable),
            number(found.false_unstable),
            number(found.false_stable),
            number(found.true_unstable),
            number(found.precision, 3, reason=reason),
            number(found.recall, 3, reason=reason),
            number(found.f1, 3, reason=reason),
            number(found.same_products, 3, reason=reason),
        )
        for model, found in errors.items()
    ]
    titles = numeric(
        "Stable, predicted stable",
        "Stable, predicted unstable",
        "Unstable, predicted stable",
        "Unstable, predicted unstable",
        "Precision",
        "Recall",
        "F1",
        "Same products",
    )
    return table(["Stability of all materials", *titles], rows)


def _list_errors(documents: Mapping[str, StabilityDoc]) -> list[Element]:
    """List errors by split, with and without unrelaxed energies."""
    rows = [
        row(
            model_cell(model),
            split,
            *_write_errors(errors),
            *_write_errors(document.metrics_with_unrelaxed.get(split))[:1],
            ENERGY.cell(errors.decomposition_energy_mae_compounds, "no compound"),
            ENERGY.cell(errors.formation_energy_mae_compounds, "no compound"),
            number(errors.n_elements),
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
        "E_decomp MAE, unrelaxed energy where failed (meV/atom)",
        "E_decomp MAE, compounds only (meV/atom)",
        "E_form MAE, compounds only (meV/atom)",
        "Elements",
    )
    return details_table("Errors of hulls by split", ["Model", "Split", *titles], rows)


def _write_errors(errors: StabilityErrors | None) -> list[Element]:
    """Build the cells of the errors of one model and split."""
    if errors is None:
        return [number(None, reason="not scored")]
    values = (
        errors.decomposition_energy_mae,
        errors.formation_energy_mae,
        errors.formation_energy_mae_target_references,
    )
    return [
        *(ENERGY.cell(value, "no material has both values") for value in values),
        number(errors.n_materials),
        number(errors.n_missing),
    ]


def _list_failed(documents: Mapping[str, LoadedStability]) -> list[Element]:
    """List the materials whose relaxation gave no energy."""
    rows = [
        row(
            model_cell(model),
            material.material_id,
            material.formula,
            material.status.replace("_", " "),
            material.error or "",
        )
        for model, document in documents.items()
        for material in document.rows.take(
            np.isnan(document.rows.predicted_energy_per_atom)
        ).to_records()
    ]
    titles = ["Model", "Material", "Formula", "Status", "Error"]
    return details_table(f"Failed relaxations ({len(rows)})", titles, rows)
