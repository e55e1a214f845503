"""Finished potentials against the models of a study, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.model_style import appearance, in_order
from nextrung.reports.sections.verdicts.choices import NAMES, choose_model

if TYPE_CHECKING:
    from nextrung.reports.sections.verdicts.differences import Difference
    from nextrung.reports.sections.verdicts.evidence import Evidence
    from nextrung.schemas.models import FinishedPotential


def describe_finished(evidence: Evidence) -> list[str]:
    """Describe how finished potentials compare with the models of the study.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models and finished potentials.

    Returns
    -------
    list of str
        One sentence per finished potential that was scored, with the difference of its
        test errors from those of the model of each benchmark, and its 95 % interval.
    """
    sentences = []
    for name in in_order(evidence.finished):
        compared = [
            f"{title}: {found}"
            for key, title in NAMES.items()
            if (found := _compare(evidence, key, name))
        ]
        parts = ["; ".join(compared), _describe_functional(evidence.finished[name])]
        said = ". ".join(filter(None, parts))
        if said:
            potential = evidence.finished[name].potential
            sentences.append(
                f"Finished potential {potential}, not trained here: {said}."
            )
    return sentences


def _compare(evidence: Evidence, key: str, name: str) -> str:
    """Compare a finished potential with the models of one benchmark, where it can."""
    choice = choose_model(evidence, key)
    if choice is None or name not in evidence.models(key):
        return ""
    chosen = evidence.compare(key, name, choice.model)
    if chosen is None:
        return "too few test materials to compare"
    size = f"{appearance(choice.model).title}, {chosen.format()}"
    if chosen.is_higher:
        return f"worse than {size}"
    if not chosen.is_lower:
        return f"{describe_unclear(chosen)} from {size}"
    models = [m for m in evidence.models(key) if m not in evidence.finished]
    found = {model: evidence.compare(key, name, model) for model in models}
    unclear = [m for m, d in found.items() if d is None or not d.is_lower]
    if unclear:
        others = ", ".join(appearance(model).title for model in in_order(unclear))
        return f"better than {size}; not shown to be better than {others}"
    known = {model: each for model, each in found.items() if each}
    nearest = max(known, key=lambda model: known[model].relative)
    return (
        "better than every model of the study; than the next, "
        f"{appearance(nearest).title}, {known[nearest].format()}"
    )


def describe_unclear(found: Difference) -> str:
    """Describe a difference that is not shown, by its interval or by the adjustment.

    Parameters
    ----------
    found : Difference
        The difference; its interval is not adjusted for the number of models.
    """
    excludes_zero = found.low > 0 or found.high < 0
    if excludes_zero and not found.is_significant:
        return "no difference shown, once adjusted for the number of models,"
    return "no difference shown"


def _describe_functional(finished: FinishedPotential) -> str:
    """Describe why energies are not compared; empty where they are."""
    if finished.same_functional:
        return ""
    return (
        f"Its functional, {finished.functional}, is not that of the labels: its "
        "energies are shown and not compared"
    )
