"""The sections of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reports.browser import figures_of

from nextrung.reports.pages.study import report_results, report_study, report_summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def test_anchors_of_sections_and_figures_are_unique(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    sections = report_study(study, documents)
    names = [s.anchor for s in sections] + [f for s in sections for f in figures_of(s)]
    assert len(set(names)) == len(names)


def test_no_figure_is_empty(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> None:
    for section in report_study(study, documents):
        for figure in figures_of(section).values():
            assert figure.plot.data
            assert figure.caption.endswith(".")
            assert {len(values) for values in figure.columns.values()} != {0}


def test_a_report_without_documents_has_every_section_but_no_figure_of_theirs(
    study: StudyDoc,
) -> None:
    sections = report_study(study, {})
    assert [f for s in sections for f in figures_of(s)] == ["elements"]
    assert len(sections) == 11


def test_summary_and_results_need_the_study_only(study: StudyDoc) -> None:
    assert report_summary(study).anchor == "summary"
    assert report_results(study, {}).anchor == "results"
