"""Signs that a training was too short for its results to be compared."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from nextrung.compute.fine_tuning import is_undertrained
from nextrung.reports.html.elements import MISSING, format_count
from nextrung.reports.html.model_style import appearance
from nextrung.reports.sections.section import document_of, documents_of
from nextrung.reports.sections.verdicts.choices import BASELINES, NAMES
from nextrung.schemas.atom_refs import AtomRefDoc
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.models import Model, Trained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.verdicts.evidence import Evidence
    from nextrung.schemas.base import TaskDoc

#: Optimiser steps below which a model that has not learned forces is undertrained.
FEW_STEPS = 1000


def find_still_falling(documents: Mapping[str, TaskDoc]) -> list[str]:
    """Find the trained models whose validation error was still falling at the end.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.

    Returns
    -------
    list of str
        Models in the paper's order.

    Notes
    -----
    With a cosine schedule the learning rate ends near zero, so that an error that no
    longer falls does not show that a longer training would be no better.
    """
    tuned = documents_of(documents, "fine_tuning", FineTuningDoc)
    return [
        model
        for model, document in tuned.items()
        if is_undertrained(
            [r.val.energy_mae for r in document.history if r.val.energy_mae is not None]
        )
    ]


def find_undertrained(
    documents: Mapping[str, TaskDoc], evidence: Evidence
) -> dict[str, list[str]]:
    """Find the models that were trained too briefly to be compared.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    dict of str to list of str
        Reasons by trained model: a validation error that is still falling, or few steps
        and forces that are not shown to be better than zero forces; empty where there
        is none.
    """
    falling = find_still_falling(documents)
    tuned = documents_of(documents, "fine_tuning", FineTuningDoc)
    found: dict[str, list[str]] = {}
    for model, document in tuned.items():
        if not document.history:
            continue
        reasons = found.setdefault(model, [])
        if model in falling:
            reasons.append("validation error still falling in the last epochs")
        n_steps = _count_steps(document) * len(document.history)
        forces = evidence.compare_with_baseline("forces", model)
        if 0 < n_steps < FEW_STEPS and forces is not None and not forces.is_lower:
            reasons.append(
                f"{format_count(n_steps, 'step')}, forces not shown to be better than "
                "zero"
            )
    return found


def describe_undertrained(
    documents: Mapping[str, TaskDoc], evidence: Evidence
) -> list[str]:
    """Describe the models that were trained too briefly to be compared.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    list of str
        Title and reasons of each model.
    """
    return [
        f"{appearance(model).title} ({'; '.join(reasons)})"
        for model, reasons in find_undertrained(documents, evidence).items()
        if reasons
    ]


def describe_training(
    documents: Mapping[str, TaskDoc], evidence: Evidence
) -> dict[str, dict[str, str]]:
    """Describe what each trained model gained over the baseline.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    dict of str to dict of str to str
        Texts by model and title: test errors relative to the baseline with their 95 %
        interval, and signs that the training was too short.
    """
    found = {}
    for model, reasons in find_undertrained(documents, evidence).items():
        texts = {}
        for key in ("energy", "forces"):
            difference = evidence.compare_with_baseline(key, model)
            title = f"{NAMES[key].capitalize()} against {BASELINES[key]}"
            texts[title] = difference.format() if difference else MISSING
            if not evidence.models(key):
                texts[title] = "no test labels"
        texts["Undertrained"] = "; ".join(reasons) or "no sign of it"
        found[model] = texts
    return found


def describe_unreachable_references(documents: Mapping[str, TaskDoc]) -> list[str]:
    """Describe trainable references that the optimiser cannot move far enough.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study: ``atom_refs/refit`` for the shift that is needed, and
        ``fine_tuning`` of every model.

    Returns
    -------
    list of str
        One text per model whose references cannot reach the fitted ones.

    Notes
    -----
    Adam moves a weight by about the learning rate per step, whatever the gradient: the
    sum of the learning rates over all steps limits the distance.
    """
    fitted = document_of(documents, "atom_refs/refit", AtomRefDoc)
    if fitted is None or not fitted.shift:
        return []
    shifts = sorted(abs(shift) for shift in fitted.shift.values())
    texts = []
    tuned = documents_of(documents, "fine_tuning", FineTuningDoc)
    for model, document in tuned.items():
        if document.recipe.trained is not Trained.NETWORK_AND_ATOM_REFS:
            continue
        reach = _limit_distance(document)
        n_missed = sum(shift > reach for shift in shifts)
        if document.history and n_missed:
            texts.append(
                f"{appearance(model).title} (at most about {reach:.2f} eV/atom per "
                f"element; {n_missed} of {len(shifts)} elements need more, up to "
                f"{shifts[-1]:.2f} eV/atom; compare it with "
                f"{appearance(Model.FROZEN_ATOM_REFS).title}, not with the others)"
            )
    return texts


def _limit_distance(document: FineTuningDoc) -> float:
    """Sum the learning rates over all steps."""
    rates = sum(record.learning_rate for record in document.history)
    return _count_steps(document) * rates


def _count_steps(document: FineTuningDoc) -> int:
    """Count the optimiser steps of one epoch."""
    if document.settings is None:
        return 0
    return ceil(document.n_train_frames / document.settings.batch_size)
