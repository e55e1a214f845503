"""What the numbers of a study say, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.markup import count
from nextrung.reports.models import appearance, in_order, transfers
from nextrung.reports.scaling_law import say_crossing
from nextrung.schemas.models import RECIPES, Model, Rereference
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.evaluation import PropertyErrors
    from nextrung.schemas.study import ModelSummary, StudyResults

#: Below this correlation of re-referenced energies transfer has little to build on.
LOW_CORRELATION = 0.8

#: Test materials below which differences of a few per cent mean nothing.
FEW_TEST_MATERIALS = 100

_COMPARED = {"energy": "energies", "forces": "forces", "stress": "stresses"}


def summarise(results: StudyResults) -> list[str]:
    """Say which model won, by how much, and whether transfer helped.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        Sentences, most important first.
    """
    said = [*say_winner(results), *say_transfer(results), *_say_alignment(results)]
    if results.scaling_law and "energy_mae" in results.scaling_law:
        crossing = say_crossing(results.scaling_law["energy_mae"].crossing)
        said.append(f"Scaling law of the energy: {crossing}")
    n_test = results.dataset.n_materials_by_split.get("test", 0)
    if 0 < n_test < FEW_TEST_MATERIALS:
        said.append(
            f"The test split holds only {count(n_test, 'material')}: differences of a "
            "few per cent between models mean nothing."
        )
    return said or ["No model was scored on the test split."]


def _test_errors(results: StudyResults) -> dict[str, PropertyErrors]:
    """Find the test errors of the models that have an energy error."""
    errors = {m: results.models[m].metrics.get("test") for m in results.models}
    return {m: e for m, e in errors.items() if e and e.energy_mae is not None}


def say_winner(results: StudyResults) -> list[str]:
    """Say which model has the lowest energy error, and how far the others are.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        One sentence; none where no energy was scored.
    """
    energies = {m: e.energy_mae or 0.0 for m, e in _test_errors(results).items()}
    if not energies:
        return []
    best = min(in_order(energies), key=lambda model: energies[model])
    text = (
        f"{appearance(best).title} has the lowest energy error on the test split: "
        f"{1000 * energies[best]:,.1f} meV/atom"
    )
    others = [
        f"{_ratio(energies[model], energies[best])} {name} "
        f"({1000 * energies[model]:,.1f} meV/atom)"
        for model, name in (
            (Model.SCRATCH, "training from scratch"),
            (Model.SOURCE, "the untouched source"),
        )
        if model in energies and model != best
    ]
    return [f"{text}, {' and '.join(others)}." if others else f"{text}."]


def _ratio(larger: float, smaller: float) -> str:
    """Say how many times lower an error is."""
    return f"{larger / smaller:,.1f} times lower than" if smaller else "lower than"


def say_transfer(results: StudyResults) -> list[str]:
    """Say whether training from the source's weights beats training from scratch.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        One sentence on the best transferred model; none without both.
    """
    errors = _test_errors(results)
    candidates = [model for model in in_order(errors) if transfers(model)]
    if Model.SCRATCH not in errors or not candidates:
        return []
    best = min(candidates, key=lambda model: errors[model].energy_mae or 0.0)
    changes = _compare(errors[best], errors[Model.SCRATCH])
    helped = [name for name, change in changes.items() if change < 0]
    if len(helped) == len(changes):
        verdict = "Transfer helped"
    else:
        verdict = "Transfer helped in part" if helped else "Transfer did not help"
    listed = ", ".join(f"{name} {_percent(c)}" for name, c in changes.items())
    text = (
        f"{verdict}: the errors of {appearance(best).title}, the best transferred "
        f"model, against training from scratch: {listed}."
    )
    return [text]


def _percent(change: float) -> str:
    """Write a relative change with its sign."""
    return f"{100 * change:+.0f} %".replace("-", "\N{MINUS SIGN}")


def _compare(errors: PropertyErrors, others: PropertyErrors) -> dict[str, float]:
    """Compute the relative change of every error that both have."""
    changes = {}
    for key, name in _COMPARED.items():
        mine, other = getattr(errors, f"{key}_mae"), getattr(others, f"{key}_mae")
        if mine is not None and other:
            changes[name] = mine / other - 1
    return changes


def _say_alignment(results: StudyResults) -> list[str]:
    """Say what re-referencing does to the correlation."""
    alignment = results.alignment
    if alignment is None or alignment.correlation_referenced is None:
        return []
    before = alignment.correlation
    start = "" if before is None else f"from {before:.3f} "
    text = (
        "Subtracting atomic references moves the correlation of source and target "
        f"energies {start}to {alignment.correlation_referenced:.3f}."
    )
    return [text]


def find_signatures(results: StudyResults) -> list[str]:
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
        *_find_negative_transfer(_test_errors(results)),
        *_find_lost_atoms(results.models),
        *_find_missing_cancellation(results.models),
    ]
    alignment = results.alignment
    correlation = alignment.correlation_referenced if alignment else None
    if correlation is not None and correlation < LOW_CORRELATION:
        signs.append(
            f"Weak correlation: {correlation:.2f} after re-referencing is below "
            f"{LOW_CORRELATION}; transfer has little to build on."
        )
    return signs


def _find_negative_transfer(errors: Mapping[str, PropertyErrors]) -> list[str]:
    """Say which transferred models are worse than scratch on forces or stress."""
    worse = [
        f"{appearance(model).title} ({', '.join(listed)})"
        for model, listed in _find_worse_than_scratch(errors).items()
    ]
    start = "Negative transfer: worse than training from scratch on forces or stress: "
    return [f"{start}{'; '.join(worse)}."] if worse else []


def _find_worse_than_scratch(
    errors: Mapping[str, PropertyErrors],
) -> dict[str, list[str]]:
    """Find transferred models whose forces or stresses are worse than scratch's."""
    if Model.SCRATCH not in errors:
        return {}
    worse = {}
    for model in filter(transfers, in_order(errors)):
        changes = _compare(errors[model], errors[Model.SCRATCH])
        listed = [
            f"{name} {_percent(change)}"
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


def advise(results: StudyResults) -> list[str]:
    """Say what to do next.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        Sentences.
    """
    errors = _test_errors(results)
    advice = []
    if errors:
        best = min(in_order(errors), key=lambda m: errors[m].energy_mae or 0.0)
        checkpoint = results.models[best].checkpoint
        advice.append(
            f"For energies use {appearance(best).title}: artifact {checkpoint}."
        )
    advice += _advise_on_size(results)
    return advice + _advise_on_references(errors)


def _advise_on_references(errors: Mapping[str, PropertyErrors]) -> list[str]:
    """Say what to do about negative transfer."""
    worse = _find_worse_than_scratch(errors)
    if not worse:
        return []
    names = ", ".join(appearance(model).title for model in worse)
    kept = [m for m in worse if RECIPES[Model(m)].rereference is Rereference.NONE]
    remedy = "train them longer or on more frames"
    if kept:
        remedy = "move their atomic references to the target functional first"
    return [f"Do not relax or run dynamics with {names}; {remedy}."]


def _advise_on_size(results: StudyResults) -> list[str]:
    """Say how many target structures wanted errors ask for."""
    law = (results.scaling_law or {}).get("energy_mae")
    if law is None:
        return ["Run the scaling law to learn how much more target data would help."]
    return [
        f"For {1000 * size.error_wanted:,.0f} meV/atom with "
        f"{appearance(size.model).title}: about {size.n_frames:,.0f} training frames."
        for size in law.required_sizes
        if size.n_frames is not None
    ]
