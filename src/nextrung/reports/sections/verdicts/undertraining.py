"""Signs that a training was too short for its results to be compared."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from nextrung.reports.html.model_style import appearance
from nextrung.reports.sections.section import document_of, documents_of
from nextrung.schemas.atom_refs import AtomRefDoc
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.models import Model, Trained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.fine_tuning import EpochRecord

#: Relative decrease of the validation error over the last tenth of the epochs above
#: which it is still falling.
STILL_FALLING = 0.02


def find_undertrained(documents: Mapping[str, TaskDoc]) -> dict[str, float]:
    """Find the models whose validation error is still falling at the last epoch.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.

    Returns
    -------
    dict of str to float
        Relative decrease of the validation energy error over the last tenth of the
        epochs, at least one, by model.

    Notes
    -----
    With a cosine schedule the learning rate ends near zero, so that an error that no
    longer falls does not show that a longer training would be no better.
    """
    found = {}
    tuned = documents_of(documents, "fine_tuning", FineTuningDoc)
    for model, document in tuned.items():
        decrease = _measure_decrease(document.history)
        if decrease > STILL_FALLING:
            found[model] = decrease
    return found


def _measure_decrease(history: list[EpochRecord]) -> float:
    """Measure the relative decrease of the error over the last tenth of the epochs."""
    errors = [r.val.energy_mae for r in history if r.val.energy_mae is not None]
    earlier = errors[: len(errors) - ceil(len(errors) / 10)]
    if not earlier or not min(earlier):
        return 0.0
    return 1 - errors[-1] / min(earlier)


def describe_undertrained(documents: Mapping[str, TaskDoc]) -> list[str]:
    """Describe the models whose validation error is still falling.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.

    Returns
    -------
    list of str
        Title and decrease of each model.
    """
    return [
        f"{appearance(model).title} (\N{MINUS SIGN}{100 * decrease:.0f} %)"
        for model, decrease in find_undertrained(documents).items()
    ]


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
    if document.settings is None:
        return 0.0
    n_steps = ceil(document.n_train_frames / document.settings.batch_size)
    return n_steps * sum(record.learning_rate for record in document.history)
