"""The section of the data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import render
from nextrung.reports.plots.figure import Figure
from nextrung.reports.sections.dataset import report_dataset

if TYPE_CHECKING:
    from nextrung.reports.sections.section import Section
    from nextrung.schemas.study import StudyDoc


def html_of(section: Section) -> str:
    return "".join(render(b) for b in section.blocks if not isinstance(b, Figure))


def test_rejections_are_counted_by_rule_and_listed_by_name(study: StudyDoc) -> None:
    html = html_of(report_dataset(study))
    assert "9 frames or files were left out" in html
    assert "hubbard u" in html
    assert "functional</td>" not in html
    assert "expected U = 0, got U = 5.3 eV on Fe" in html


def test_names_are_escaped(study: StudyDoc) -> None:
    html = html_of(report_dataset(study))
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Fe&amp;O" in html


def test_a_data_set_without_rejections_says_so(study: StudyDoc) -> None:
    dataset = study.results.dataset.model_copy(
        update={"n_rejected": {"duplicate": 0}, "rejections": []}
    )
    results = study.results.model_copy(update={"dataset": dataset})
    clean = study.model_copy(update={"results": results})
    assert "No frame was left out." in html_of(report_dataset(clean))


def test_every_element_is_a_row_of_the_figure(study: StudyDoc) -> None:
    figures = [b for b in report_dataset(study).blocks if isinstance(b, Figure)]
    assert figures[0].columns == {
        "element": ["Li", "Mn", "O"],
        "n_frames": [18, 18, 27],
    }
