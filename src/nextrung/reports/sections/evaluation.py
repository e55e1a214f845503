"""How well every model predicts the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    details,
    element,
    header,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance, model_cell
from nextrung.reports.plots.parity import find_test_frames, plot_errors, plot_parity
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

_PROPERTIES = (
    ("energy", "Energy (meV/atom)", 1000.0, 1),
    ("forces", "Forces (meV/Å)", 1000.0, 1),
    ("stress", "Stress (GPa)", 1.0, 3),
    ("magmoms", "Moments (μ_B)", 1.0, 3),
)


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
    best = _find_best(scored)
    blocks = (
        list_colours(scored),
        *plot_parity(scored, best),
        *plot_errors(scored),
        *_list_worst(scored, best),
        details("Errors of every split, MAE and RMSE", _list_errors(scored)),
        *_list_failures(scored),
    )
    return Section("evaluation", "Predictions", blocks)


def _find_best(documents: Mapping[str, EvaluationDoc]) -> str:
    """Find the model of the lowest energy error on the test split."""
    errors = {model: doc.metrics.get("test") for model, doc in documents.items()}
    known = {m: e.energy_mae for m, e in errors.items() if e and e.energy_mae}
    return min(known, key=lambda m: known[m] or 0.0, default=next(iter(documents)))


def _list_worst(documents: Mapping[str, EvaluationDoc], best: str) -> list[Element]:
    """List the structures of the largest energy error, the best model unfolded."""
    tables = {
        model: _list_worst_of(document.rows) for model, document in documents.items()
    }
    folded = {
        model: details(appearance(model).title, listed)
        for model, listed in tables.items()
        if listed is not None
    }
    if best in folded:
        folded[best].set("open", "")
    title = f"The {N_WORST} test structures of the largest energy error"
    return [element("h3", title), *folded.values()] if folded else []


def _list_worst_of(rows: FrameResiduals) -> Element | None:
    """List the structures of the largest energy error of one model."""
    errors = {
        index: rows.predicted_energy_per_atom[index] - label
        for index in find_test_frames(rows)
        if (label := rows.energy_per_atom[index]) is not None
    }
    worst = sorted(errors, key=lambda index: -abs(errors[index]))[:N_WORST]
    titles = numeric(
        "Label (eV/atom)",
        "Prediction (eV/atom)",
        "Error (meV/atom)",
        "Forces MAE (meV/Å)",
    )
    listed = [
        row(
            rows.formula[index],
            rows.frame_id[index],
            rows.material_id[index],
            number(rows.energy_per_atom[index], 4),
            number(rows.predicted_energy_per_atom[index], 4),
            number(errors[index], 1, factor=1000),
            number(rows.forces_mae[index], 1, factor=1000, reason="no label"),
        )
        for index in worst
    ]
    if not worst:
        return None
    return table(header("Formula", "Frame", "Material", *titles), listed)


def _list_errors(documents: Mapping[str, EvaluationDoc]) -> Element:
    """List the errors of every model and split."""
    rows = [
        row(
            model_cell(model),
            split,
            number(errors.n_frames),
            number(errors.n_failed),
            *(
                number(
                    getattr(errors, f"{name}_{kind}"),
                    digits,
                    factor=factor,
                    reason="no labels",
                )
                for name, _, factor, digits in _PROPERTIES
                for kind in ("mae", "rmse")
            ),
        )
        for model, document in documents.items()
        for split, errors in document.metrics.items()
    ]
    titles = [
        title.replace(" (", f" {kind} (")
        for _, title, _, _ in _PROPERTIES
        for kind in ("MAE", "RMSE")
    ]
    counts = ("Frames", "Not predicted")
    return table(header("Model", "Split", *numeric(*counts, *titles)), rows)


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
    if not rows:
        return []
    titles = header("Model", "Why", *numeric("Frames"), "The first")
    return [details("Frames that could not be predicted", table(titles, rows))]
