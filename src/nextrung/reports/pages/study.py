"""Sections of the report of a study, with its summary and Table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import MISSING, element
from nextrung.reports.sections.alignment import report_alignment
from nextrung.reports.sections.benchmarks import COLUMNS
from nextrung.reports.sections.dataset import report_dataset
from nextrung.reports.sections.density import report_density
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
from nextrung.reports.sections.verdicts.failure_signs import find_failure_signs
from nextrung.reports.sections.verdicts.summary import advise, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def report_study(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> list[Section]:
    """Report a study, section by section.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents by stage or stage/model.

    Returns
    -------
    list of Section
        The sections in order. A section without its documents says so.
    """
    return [
        report_summary(study),
        report_results(study, documents),
        report_dataset(study),
        report_preflight(documents),
        report_alignment(study, documents),
        report_fine_tuning(documents),
        report_evaluation(study, documents),
        report_stability(study, documents),
        report_density(study, documents),
        report_physics(study, documents),
        report_scaling_law(study, documents),
        report_provenance(study, documents),
    ]


def report_summary(study: StudyDoc) -> Section:
    """Report summary, signs of failure and recommendations.

    Parameters
    ----------
    study : StudyDoc
        The study.

    Returns
    -------
    Section
        The section of the summary.
    """
    results = study.results
    signs = find_failure_signs(results)
    blocks = [_list(summarise(results), "findings")]
    if signs:
        blocks += [element("h3", "Signs of failure"), _list(signs, "signs")]
    advice = advise(results)
    if advice:
        blocks += [element("h3", "Recommendations"), _list(advice, "advice")]
    return Section("summary", "Summary", tuple(blocks))


def _list(sentences: Sequence[str], name: str) -> Element:
    """Build a list of sentences."""
    return element("ul", *(element("li", text) for text in sentences), class_=name)


def report_results(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report Table 1 of the paper: every model on every benchmark.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents, for the intervals of the numbers.

    Returns
    -------
    Section
        The section of the results.
    """
    results = study.results
    text = (
        "Mean absolute errors; the lowest of each column is bold. Every number links "
        f"to its job; {MISSING}: not computed."
    )
    if results.study == PAPER_STUDY:
        text += f" The paper's values are below ours ({CITATION})."
    meanings = [
        element("li", element("b", column.title), f": {column.meaning}.")
        for column in COLUMNS
    ]
    legend = element("ul", *meanings, class_="meanings")
    intervals = estimate_intervals(documents)
    if intervals:
        text += (
            " Grey: 95 % interval of the mean, from 1,000 bootstrap resamples of "
            "materials."
        )
    blocks = (element("p", text), html_table(results, intervals), legend)
    return Section("results", "Results", blocks)
