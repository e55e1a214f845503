"""Signs of failure in the results of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.intervals import BASELINE, ModelComparison
from nextrung.reports.html.model_style import appearance, in_order
from nextrung.reports.html.quantities import ENERGY
from nextrung.reports.sections.verdicts.choices import BASELINES, NAMES
from nextrung.reports.sections.verdicts.differences import Difference
from nextrung.reports.sections.verdicts.transfer import (
    compare_with_scratch,
    list_transferred,
)
from nextrung.reports.sections.verdicts.undertraining import (
    describe_undertrained,
    describe_unreachable_references,
)
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.verdicts.evidence import Evidence
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import AlignmentSummary, ModelSummary, StudyResults

#: A correlation of re-referenced energies below this is weak.
LOW_CORRELATION = 0.8

#: Errors whose increase makes relaxations and dynamics worse.
_OF_MOTION = ("forces", "stress")


def find_failure_signs(
    results: StudyResults, documents: Mapping[str, TaskDoc], evidence: Evidence
) -> list[str]:
    """Find signs of failure in the results of a study.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    documents : mapping of str to TaskDoc
        Its documents, by stage/model.
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    list of str
        One sentence per sign, naming the models; empty where there is none.
    """
    signs = {
        "Negative transfer: larger test errors of forces or stresses than training "
        "from scratch": _list_sizes(find_worse_than_scratch(evidence)),
        "Worse than the baseline: larger test errors than predicting zero, or than "
        "the atomic references alone": _list_sizes(find_worse_than_baseline(evidence)),
        "Undertrained, so that comparisons with them say little": (
            describe_undertrained(documents, evidence)
        ),
        "Atomic references out of reach of the training": (
            describe_unreachable_references(documents)
        ),
        "Isolated atoms: relaxations that leave an atom without neighbours": (
            _find_isolated_atoms(results.models)
        ),
        "No error cancellation: larger errors of decomposition than of formation "
        "energies of test compounds": _find_missing_cancellation(evidence),
        "Weak correlation": _find_weak_correlation(results.alignment),
    }
    return [f"{sign}: {'; '.join(found)}." for sign, found in signs.items() if found]


def _list_sizes(found: Mapping[str, list[str]]) -> list[str]:
    """List models with the sizes of their errors."""
    return [f"{appearance(m).title} ({', '.join(sizes)})" for m, sizes in found.items()]


def find_worse_than_scratch(evidence: Evidence) -> dict[str, list[str]]:
    """Find the transferred models that are worse than scratch on forces or stress.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    dict of str to list of str
        Property, relative difference and interval, by model. Properties that scratch
        has not learned are left out: there is no transfer to compare with.
    """
    worse: dict[str, list[str]] = {}
    for key in _OF_MOTION:
        models = evidence.models(key)
        if Model.SCRATCH not in models:
            continue
        for model in list_transferred(evidence, models):
            verdict = compare_with_scratch(evidence, key, model)
            difference = verdict.difference
            if verdict.scratch_learned and difference and difference.is_higher:
                size = f"{NAMES[key]} {difference.format()}"
                worse.setdefault(model, []).append(size)
    return {model: worse[model] for model in in_order(worse)}


def find_worse_than_baseline(
    evidence: Evidence, keys: tuple[str, ...] = tuple(BASELINES)
) -> dict[str, list[str]]:
    """Find the models that are worse than the baseline.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.
    keys : tuple of str
        Columns of Table 1.

    Returns
    -------
    dict of str to list of str
        Baseline, relative difference and interval, by model.
    """
    worse: dict[str, list[str]] = {}
    for key in keys:
        for model in evidence.models(key):
            found = evidence.compare(key, model, BASELINE)
            if found is not None and found.is_higher:
                size = f"{BASELINES[key]} {found.format()}"
                worse.setdefault(model, []).append(size)
    return {model: worse[model] for model in in_order(worse)}


def find_unfit(evidence: Evidence) -> list[str]:
    """Find the models not to relax with: worse than scratch or than predicting zero.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.
    """
    worse = find_worse_than_baseline(evidence, _OF_MOTION)
    return in_order(worse.keys() | find_worse_than_scratch(evidence).keys())


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


def _find_missing_cancellation(evidence: Evidence) -> list[str]:
    """Find models with larger errors of decomposition than of formation energies."""
    decomposition, formation = (
        evidence.comparison(key).models
        for key in ("decomposition_energy", "formation_energy")
    )
    listed = []
    for model in in_order(decomposition.keys() & formation.keys()):
        errors = {"formation": formation[model], "decomposition": decomposition[model]}
        comparison = ModelComparison(errors)
        compared = comparison.compare("decomposition", "formation")
        found = compared and Difference.of(compared)
        if compared and found and found.is_higher:
            reference = compared.found.reference
            values = " against ".join(
                ENERGY.format(value)
                for value in (reference + compared.found.difference, reference)
            )
            title = appearance(model).title
            listed.append(f"{title} ({values} {ENERGY.unit}, {found.format()})")
    return listed


def _find_weak_correlation(alignment: AlignmentSummary | None) -> list[str]:
    """Check that at least one way of re-referencing correlates the energies."""
    if alignment is None:
        return []
    ways = (alignment.correlation_referenced, alignment.correlation_residual)
    best = max((value for value in ways if value is not None), default=1.0)
    if best >= LOW_CORRELATION:
        return []
    return [f"{best:.2f} after re-referencing, below {LOW_CORRELATION}"]
