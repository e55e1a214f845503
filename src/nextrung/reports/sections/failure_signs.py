"""The signs of failure that the numbers of a study show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.model_style import appearance, in_order, transfers
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.evaluation import PropertyErrors
    from nextrung.schemas.study import (
        AlignmentSummary,
        ModelSummary,
        StudyResults,
    )

#: Below this correlation of re-referenced energies transfer has little to build on.
LOW_CORRELATION = 0.8

_COMPARED = {"energy": "energies", "forces": "forces", "stress": "stresses"}


def read_test_errors(results: StudyResults) -> dict[str, PropertyErrors]:
    """Find the test errors of the models that have an energy error.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    dict of str to PropertyErrors
        Errors by model.
    """
    errors = {m: results.models[m].metrics.get("test") for m in results.models}
    return {m: e for m, e in errors.items() if e and e.energy_mae is not None}


def find_failure_signs(results: StudyResults) -> list[str]:
    """Name the signs of failure that the numbers show.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        One sentence per sign, naming the models; empty where there is none.
    """
    signs = [
        *_find_negative_transfer(read_test_errors(results)),
        *_find_lost_atoms(results.models),
        *_find_missing_cancellation(results.models),
    ]
    return signs + _find_weak_correlation(results.alignment)


def _find_weak_correlation(alignment: AlignmentSummary | None) -> list[str]:
    """Say whether no way of re-referencing makes source and target energies alike."""
    if alignment is None:
        return []
    ways = (alignment.correlation_referenced, alignment.correlation_residual)
    known = [value for value in ways if value is not None]
    if not known or max(known) >= LOW_CORRELATION:
        return []
    text = (
        f"Weak correlation: {max(known):.2f} after re-referencing is below "
        f"{LOW_CORRELATION}; transfer has little to build on."
    )
    return [text]


def _find_negative_transfer(errors: Mapping[str, PropertyErrors]) -> list[str]:
    """Say which transferred models are worse than scratch on forces or stress."""
    worse = [
        f"{appearance(model).title} ({', '.join(listed)})"
        for model, listed in find_worse_than_scratch(errors).items()
    ]
    start = "Negative transfer: worse than training from scratch on forces or stress: "
    return [f"{start}{'; '.join(worse)}."] if worse else []


def find_worse_than_scratch(
    errors: Mapping[str, PropertyErrors],
) -> dict[str, list[str]]:
    """Find transferred models whose forces or stresses are worse than scratch's.

    Parameters
    ----------
    errors : mapping of str to PropertyErrors
        Test errors by model.

    Returns
    -------
    dict of str to list of str
        What is worse and by how much, by model; empty without training from scratch.
    """
    if Model.SCRATCH not in errors:
        return {}
    worse = {}
    for model in filter(transfers, in_order(errors)):
        changes = compare_errors(errors[model], errors[Model.SCRATCH])
        listed = [
            f"{name} {write_change(change)}"
            for name, change in changes.items()
            if change > 0 and name != _COMPARED["energy"]
        ]
        if listed:
            worse[model] = listed
    return worse


def _find_lost_atoms(models: Mapping[str, ModelSummary]) -> list[str]:
    """Find models whose relaxations leave an atom without neighbours."""
    listed = []
    for model in in_order(models):
        stability = models[model].stability
        lost = stability and stability.statuses.get(RelaxationStatus.ISOLATED_ATOM)
        if stability and lost:
            share = f"{lost:,} of {stability.n_materials:,}"
            listed.append(f"{appearance(model).title} ({share})")
    start = "Lost atoms: relaxations that leave an atom without neighbours: "
    return [f"{start}{'; '.join(listed)}."] if listed else []


def _find_missing_cancellation(models: Mapping[str, ModelSummary]) -> list[str]:
    """Find models whose decomposition energies are worse than their formation."""
    listed = []
    for model in in_order(models):
        stability = models[model].stability
        decomposition = stability and stability.decomposition_energy_mae_all
        formation = stability and stability.formation_energy_mae
        if decomposition and formation and decomposition > formation:
            values = f"{1000 * decomposition:,.1f} against {1000 * formation:,.1f}"
            listed.append(f"{appearance(model).title} ({values} meV/atom)")
    start = (
        "No error cancellation: decomposition energies worse than formation energies, "
        "over all materials: "
    )
    return [f"{start}{'; '.join(listed)}."] if listed else []


def write_change(change: float) -> str:
    """Write a relative change with its sign.

    Parameters
    ----------
    change : float
        The change over the value before.

    Returns
    -------
    str
        Per cent.
    """
    return f"{100 * change:+.0f} %".replace("-", "\N{MINUS SIGN}")


def compare_errors(errors: PropertyErrors, others: PropertyErrors) -> dict[str, float]:
    """Compute the relative change of every error that both have.

    Parameters
    ----------
    errors, others : PropertyErrors
        Errors, and those they are set against.

    Returns
    -------
    dict of str to float
        Change over the other error, by property.
    """
    changes = {}
    for key, name in _COMPARED.items():
        mine, other = getattr(errors, f"{key}_mae"), getattr(others, f"{key}_mae")
        if mine is not None and other:
            changes[name] = mine / other - 1
    return changes
