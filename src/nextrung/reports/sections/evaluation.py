"""Section of the errors against the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    details_table,
    element,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance, model_cell
from nextrung.reports.html.quantities import ENERGY, FORCES, PROPERTIES
from nextrung.reports.plots.parity import find_test_frames, plot_errors, plot_parity
from nextrung.reports.sections.benchmarks import find_best
from nextrung.reports.sections.section import (
    Section,
    documents_of,
    explain_absence,
    list_colours,
)
from nextrung.schemas.evaluation import EvaluationDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.evaluation import FrameResiduals
    from nextrung.schemas.study import StudyDoc

#: Structures of the largest error that are listed per model.
N_WORST = 10


def report_evaluation(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report errors by split, parity and the worst structures.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents: ``evaluation`` of every model.

    Returns
    -------
    Section
        The section of the predictions.
    """
    scored = documents_of(documents, "evaluation", EvaluationDoc)
    if not scored:
        absent = explain_absence("evaluation", study.settings.evaluation)
        return Section("evaluation", "Predictions", (absent,))
    errors = {model: doc.metrics.get("test") for model, doc in scored.items()}
    finished = study.results.finished
    made = {m: e.energy_mae for m, e in errors.items() if e and m not in finished}
    best = find_best(made)
    shown = (best or list(scored))[0]
    blocks = (
        list_colours(scored),
        *plot_parity(scored, shown),
        *plot_errors(scored),
        *_list_worst(scored, shown),
        *_list_skills(scored),
        *_list_errors(scored),
        *_list_failures(scored),
    )
    return Section("evaluation", "Predictions", blocks)


def _list_worst(documents: Mapping[str, EvaluationDoc], best: str) -> list[Element]:
    """List the structures of the largest energy error; open for the best model."""
    tables = {m: _list_worst_of(m, doc.rows) for m, doc in documents.items()}
    for opened in tables[best]:
        opened.set("open", "")
    listed = [table for found in tables.values() for table in found]
    title = f"The {N_WORST} test structures of the largest energy error"
    return [element("h3", title), *listed] if listed else []


def _list_worst_of(model: str, rows: FrameResiduals) -> list[Element]:
    """List the structures of the largest energy error of one model."""
    errors = {
        index: rows.predicted_energy_per_atom[index] - label
        for index in find_test_frames(rows)
        if (label := rows.energy_per_atom[index]) is not None
    }
    worst = sorted(errors, key=lambda index: -abs(errors[index]))[:N_WORST]
    listed = [
        row(
            rows.formula[index],
            rows.frame_id[index],
            rows.material_id[index],
            number(rows.energy_per_atom[index], 4),
            number(rows.predicted_energy_per_atom[index], 4),
            ENERGY.cell(errors[index]),
            FORCES.cell(rows.forces_mae[index], "no label"),
        )
        for index in worst
    ]
    titles = numeric(
        "Label (eV/atom)",
        "Prediction (eV/atom)",
        "Error (meV/atom)",
        "Forces MAE (meV/Å)",
    )
    return details_table(
        appearance(model).title, ["Formula", "Frame", "Material", *titles], listed
    )


def _list_skills(documents: Mapping[str, EvaluationDoc]) -> list[Element]:
    """List baseline, skill, correlation and slope of every model on the test split."""
    tested = {m: e for m, doc in documents.items() if (e := doc.metrics.get("test"))}
    rows = [
        row(
            model_cell(model),
            quantity.heading,
            quantity.cell(getattr(errors, f"{name}_mae"), "no labels"),
            quantity.cell(getattr(errors, f"{name}_baseline_mae"), "no baseline"),
            *(
                number(getattr(errors, f"{name}_{key}"), 3, reason="not defined")
                for key in ("skill", "pearson_r", "slope")
            ),
            number(
                errors.forces_cosine if name == "forces" else None,
                3,
                reason="of vectors only",
            ),
        )
        for name, quantity in PROPERTIES.items()
        for model, errors in tested.items()
        if getattr(errors, f"{name}_baseline_mae") is not None
    ]
    if not rows:
        return []
    titles = ("MAE", "Baseline MAE", "Skill", "Pearson r", "Slope", "Cosine")
    note = (
        "Baseline: zero forces, stresses and moments; for energies the atomic "
        "references alone. Skill: fraction of the baseline's error that a model "
        "removes; below 0 it is worse than the baseline. Slope: of predictions over "
        "labels, both relative to the baseline; below 1 predictions are too small "
        "(softening). Cosine: between predicted and labelled force vectors."
    )
    return [
        element("h3", "Skill against the baseline, test split"),
        element("p", note),
        table(["Model", "Property", *numeric(*titles)], rows),
    ]


def _list_errors(documents: Mapping[str, EvaluationDoc]) -> list[Element]:
    """List the errors of every model and split."""
    kinds = ("mae", "rmse")
    rows = [
        row(
            model_cell(model),
            split,
            number(errors.n_frames),
            number(errors.n_failed),
            *(
                quantity.cell(getattr(errors, f"{name}_{kind}"), "no labels")
                for name, quantity in PROPERTIES.items()
                for kind in kinds
            ),
        )
        for model, document in documents.items()
        for split, errors in document.metrics.items()
    ]
    titles = [
        f"{quantity.title} {kind.upper()} ({quantity.unit})"
        for quantity in PROPERTIES.values()
        for kind in kinds
    ]
    counts = numeric("Frames", "Not predicted", *titles)
    return details_table(
        "Errors of every split, MAE and RMSE", ["Model", "Split", *counts], rows
    )


def _list_failures(documents: Mapping[str, EvaluationDoc]) -> list[Element]:
    """List the frames that could not be predicted, by reason."""
    rows = [
        row(
            model_cell(model),
            failure.reason,
            number(len(failure.frame_ids)),
            ", ".join(failure.frame_ids[:N_WORST]),
        )
        for model, document in documents.items()
        for failure in document.failures
    ]
    return details_table(
        "Frames that could not be predicted",
        ["Model", "Reason", *numeric("Frames"), "First frames"],
        rows,
    )
