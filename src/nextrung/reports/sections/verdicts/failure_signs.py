"""Signs of failure in the results of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.model_style import appearance, in_order, transfers
from nextrung.reports.html.quantities import ENERGY
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.evaluation import PropertyErrors
    from nextrung.schemas.study import AlignmentSummary, ModelSummary, StudyResults

#: A correlation of re-referenced energies below this is weak.
LOW_CORRELATION = 0.8

_COMPARED = {"energy": "energies", "forces": "forces", "stress": "stresses"}


def read_test_errors(results: StudyResults) -> dict[str, PropertyErrors]:
    """Read the test errors of the models that have an energy error.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    """
    errors = {m: results.models[m].metrics.get("test") for m in results.models}
    return {m: e for m, e in errors.items() if e and e.energy_mae is not None}


def find_failure_signs(results: StudyResults) -> list[str]:
    """Find signs of failure in the results of a study.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        One sentence per sign, naming the models; empty where there is none.
    """
    worse = find_worse_than_scratch(read_test_errors(results))
    signs = {
        "Negative transfer: worse than training from scratch on forces or stress": [
            f"{appearance(model).title} ({', '.join(changes)})"
            for model, changes in worse.items()
        ],
        "Isolated atoms: relaxations that leave an atom without neighbours": (
            _find_isolated_atoms(results.models)
        ),
        "No error cancellation: decomposition energies worse than formation energies, "
        "over all materials": _find_missing_cancellation(results.models),
        "Weak correlation": _find_weak_correlation(results.alignment),
    }
    return [f"{sign}: {'; '.join(found)}." for sign, found in signs.items() if found]


def find_worse_than_scratch(
    errors: Mapping[str, PropertyErrors],
) -> dict[str, list[str]]:
    """Find the transferred models that are worse than scratch on forces or stress.

    Parameters
    ----------
    errors : mapping of str to PropertyErrors
        Test errors by model.

    Returns
    -------
    dict of str to list of str
        Property and relative change, by model; empty without training from scratch.
    """
    if Model.SCRATCH not in errors:
        return {}
    worse = {}
    for model in filter(transfers, in_order(errors)):
        changes = compare_errors(errors[model], errors[Model.SCRATCH])
        listed = [
            f"{name} {format_change(change)}"
            for name, change in changes.items()
            if change > 0 and name != _COMPARED["energy"]
        ]
        if listed:
            worse[model] = listed
    return worse


def _find_isolated_atoms(models: Mapping[str, ModelSummary]) -> list[str]:
    """Find models with relaxations that leave an atom without neighbours."""
    listed = []
    for model in in_order(models):
        stability = models[model].stability
        failed = stability and stability.statuses.get(RelaxationStatus.ISOLATED_ATOM)
        if stability and failed:
            share = f"{failed:,} of {stability.n_materials:,}"
            listed.append(f"{appearance(model).title} ({share})")
    return listed


def _find_missing_cancellation(models: Mapping[str, ModelSummary]) -> list[str]:
    """Find models with larger errors of decomposition than of formation energies."""
    listed = []
    for model in in_order(models):
        stability = models[model].stability
        decomposition = stability and stability.decomposition_energy_mae_all
        formation = stability and stability.formation_energy_mae
        if decomposition and formation and decomposition > formation:
            values = (
                f"{ENERGY.format(decomposition)} against {ENERGY.format(formation)}"
            )
            listed.append(f"{appearance(model).title} ({values} {ENERGY.unit})")
    return listed


def _find_weak_correlation(alignment: AlignmentSummary | None) -> list[str]:
    """Check that at least one way of re-referencing correlates the energies."""
    if alignment is None:
        return []
    ways = (alignment.correlation_referenced, alignment.correlation_residual)
    best = max((value for value in ways if value is not None), default=1.0)
    if best >= LOW_CORRELATION:
        return []
    text = f"{best:.2f} after re-referencing, below {LOW_CORRELATION}"
    return [f"{text}; transfer gains little"]


def format_change(change: float) -> str:
    """Format a relative change in per cent with its sign.

    Parameters
    ----------
    change : float
        Change divided by the reference value.
    """
    return f"{100 * change:+.0f} %".replace("-", "\N{MINUS SIGN}")


def compare_errors(errors: PropertyErrors, others: PropertyErrors) -> dict[str, float]:
    """Compute the relative difference of the errors that both models have.

    Parameters
    ----------
    errors, others : PropertyErrors
        Errors of a model, and of the model that it is compared with.

    Returns
    -------
    dict of str to float
        Difference divided by the other error, by property.
    """
    changes = {}
    for key, name in _COMPARED.items():
        mine, other = getattr(errors, f"{key}_mae"), getattr(others, f"{key}_mae")
        if mine is not None and other:
            changes[name] = mine / other - 1
    return changes
