"""The section of the data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reports.browser import figures_of, html_of

from nextrung.reports.sections.dataset import report_dataset

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyDoc


def test_rejections_are_counted_by_rule_and_listed_by_name(study: StudyDoc) -> None:
    html = html_of(report_dataset(study))
    assert "9 frames or files were rejected" in html
    assert "hubbard u" in html
    assert "functional</td>" not in html
    assert "expected U = 0, got U = 5.3 eV on Fe" in html


def test_names_are_escaped(study: StudyDoc) -> None:
    html = html_of(report_dataset(study))
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Fe&amp;O" in html


def test_a_data_set_without_rejections_has_a_note(study: StudyDoc) -> None:
    dataset = study.results.dataset.model_copy(
        update={"n_rejected": {"duplicate": 0}, "rejections": []}
    )
    results = study.results.model_copy(update={"dataset": dataset})
    clean = study.model_copy(update={"results": results})
    assert "No frame was rejected." in html_of(report_dataset(clean))


def test_every_element_is_a_row_of_the_figure(study: StudyDoc) -> None:
    (figure,) = figures_of(report_dataset(study)).values()
    assert figure.columns == {
        "element": ["Li", "Mn", "O"],
        "n_frames": [18, 18, 27],
    }
