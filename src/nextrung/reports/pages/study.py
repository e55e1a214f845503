"""Sections of the report of a study, with its summary and Table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.intervals import BASELINE, ModelComparison
from nextrung.reports.html.elements import MISSING, element, format_count
from nextrung.reports.sections.alignment import report_alignment
from nextrung.reports.sections.benchmarks import COLUMNS
from nextrung.reports.sections.dataset import report_dataset
from nextrung.reports.sections.density import report_density, score_common_crystals
from nextrung.reports.sections.evaluation import report_evaluation
from nextrung.reports.sections.fine_tuning import report_fine_tuning
from nextrung.reports.sections.intervals import estimate_intervals
from nextrung.reports.sections.physics import report_physics
from nextrung.reports.sections.preflight import report_preflight
from nextrung.reports.sections.provenance import report_provenance
from nextrung.reports.sections.published_values import CITATION, PAPER_STUDY
from nextrung.reports.sections.scaling_law import report_scaling_law
from nextrung.reports.sections.section import Section
from nextrung.reports.sections.stability import report_stability
from nextrung.reports.sections.table import html_table
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.failure_signs import find_failure_signs
from nextrung.reports.sections.verdicts.leaders import find_leaders
from nextrung.reports.sections.verdicts.summary import advise, summarise
from nextrung.reports.sections.verdicts.undertraining import describe_training
from nextrung.reports.sections.verdicts.usage import list_uses
from nextrung.schemas.repeats import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.compute.intervals import ErrorsBySplit
    from nextrung.reports.sections.verdicts.evidence import Evidence
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.models import FinishedPotential
    from nextrung.schemas.study import StudyDoc, StudyResults


def report_study(
    study: StudyDoc,
    documents: Mapping[str, TaskDoc],
    repeated: Mapping[str, ErrorsBySplit] | None = None,
) -> list[Section]:
    """Report a study, section by section.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents by stage or stage/model.
    repeated : mapping of str to dict, optional
        Errors of the other repeats, by stage/model/repeat.

    Returns
    -------
    list of Section
        The sections in order. A section without its documents says so.
    """
    evidence = read_evidence(documents, study.results, repeated)
    return [
        report_summary(study, documents, evidence),
        report_results(study, documents, evidence),
        report_dataset(study),
        report_preflight(documents),
        report_alignment(study, documents),
        report_fine_tuning(
            documents, study.results.finished, describe_training(documents, evidence)
        ),
        report_evaluation(study, documents),
        report_stability(study, documents),
        report_density(study, documents),
        report_physics(study, documents),
        report_scaling_law(study, documents),
        report_provenance(study, documents),
    ]


def report_summary(
    study: StudyDoc, documents: Mapping[str, TaskDoc], evidence: Evidence
) -> Section:
    """Report what to use, summary, signs of failure and recommendations.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents by stage or stage/model.
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    Section
        The section of the summary.
    """
    results = study.results
    signs = find_failure_signs(results, documents, evidence)
    blocks = list_uses(results, evidence)
    blocks += [element("h3", "Findings")] if blocks else []
    blocks.append(_list(summarise(results, evidence), "findings"))
    if signs:
        blocks += [element("h3", "Signs of failure"), _list(signs, "signs")]
    advice = advise(results, evidence)
    if advice:
        blocks += [element("h3", "Recommendations"), _list(advice, "advice")]
    return Section("summary", "Summary", tuple(blocks))


def _list(sentences: Sequence[str], name: str) -> Element:
    """Build a list of sentences."""
    return element("ul", *(element("li", text) for text in sentences), class_=name)


def report_results(
    study: StudyDoc, documents: Mapping[str, TaskDoc], evidence: Evidence
) -> Section:
    """Report Table 1 of the paper: every model on every benchmark.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents, for the intervals of the numbers.
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    Section
        The section of the results.
    """
    found = {column.key: find_leaders(evidence, column.key) for column in COLUMNS}
    leaders = {key: models for key, models in found.items() if models is not None}
    intervals = estimate_intervals(evidence.test, evidence.every)
    n_common, densities = score_common_crystals(documents)
    results = _replace_densities(study.results, densities)
    meanings = [
        element("li", element("b", column.title), f": {column.meaning}.")
        for column in COLUMNS
    ]
    blocks = (
        element("p", _describe_table(study, n_common, has_intervals=bool(intervals))),
        html_table(results, intervals, leaders, baselines=_average_baselines(evidence)),
        element("ul", *meanings, class_="meanings"),
    )
    return Section("results", "Results", blocks)


def _average_baselines(evidence: Evidence) -> dict[str, float]:
    """Average the errors of the baseline over repeats, by column of test frames."""
    comparisons = {
        key: ModelComparison(evidence.test.get(key, {})) for key in PROPERTIES
    }
    return {
        key: float(np.mean([errors.mean for errors in repeats.values()]))
        for key, comparison in comparisons.items()
        if (repeats := comparison.everything.get(BASELINE))
    }


def _describe_table(study: StudyDoc, n_common: int, *, has_intervals: bool) -> str:
    """Describe the numbers of Table 1."""
    text = (
        "Mean absolute errors. Bold: the lowest error over test materials, elements "
        "left out, and those whose difference from it has a 95 % interval that "
        "includes zero, if they are shown to be better than the baseline; with fewer "
        "than five test materials the lowest value alone. Baseline: zero or, for "
        "energies, the atomic references alone. Every number links to its job; "
        f"{MISSING}: not computed."
    )
    if n_common:
        text += (
            f" Densities: over the {format_count(n_common, 'crystal')} that all models "
            "relax."
        )
    if study.results.study == PAPER_STUDY:
        text += f" The paper's values are below ours ({CITATION})."
    if study.results.finished:
        text += f" {_describe_finished(study.results.finished)}"
    repeated = any(len(found.repeats) > 1 for found in study.results.repeats.values())
    if has_intervals:
        text += (
            " Grey: 95 % interval of the mean, from 1,000 bootstrap resamples of "
            "materials"
        )
        text += (
            " and the variance between repeats; ±: standard deviation over repeats, "
            "whose mean is shown."
            if repeated
            else "."
        )
    return text


def _describe_finished(finished: Mapping[str, FinishedPotential]) -> str:
    """Describe the rows of finished potentials, and those not compared in energies."""
    text = (
        "Rows with the name of a functional are finished potentials: not trained here, "
        "and their training data may include the test materials."
    )
    others = [each.potential for each in finished.values() if not each.same_functional]
    if others:
        text += (
            f" {', '.join(others)}: of another functional than the labels, therefore "
            "not compared by energies, decomposition and formation energies."
        )
    return text


def _replace_densities(
    results: StudyResults, errors: Mapping[str, float]
) -> StudyResults:
    """Replace the errors of densities by those over the crystals common to all."""
    models = dict(results.models)
    for model, error in errors.items():
        if model in models and (density := models[model].density) is not None:
            replaced = density.model_copy(update={"mae": error})
            models[model] = models[model].model_copy(update={"density": replaced})
    return results.model_copy(update={"models": models})
