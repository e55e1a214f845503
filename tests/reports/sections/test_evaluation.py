"""The section of the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.reports.browser import figures_of, html_of

from nextrung.reports.sections.evaluation import report_evaluation
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.plots.figure import Figure
    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


@pytest.fixture
def section(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    return report_evaluation(study, documents)


def parity_of(section: Section) -> Figure:
    return figures_of(section)["parity"]


def test_only_test_frames_are_compared(section: Section) -> None:
    columns = parity_of(section).columns
    assert set(columns["frame_id"]) == {
        f"{formula}-{step}"
        for formula in ("Li2O2", "MnO2", "LiMnO2")
        for step in range(3)
    }
    assert len(columns["frame_id"]) == 9 * len(Model)


def test_hover_texts_give_frame_and_formula(section: Section) -> None:
    points = parity_of(section).plot.data[1]
    assert any("Li2O2-0" in text and "m-Li2O2" in text for text in points.text)


def test_one_model_is_shown_at_a_time(section: Section) -> None:
    views = parity_of(section).views
    shown = [trace for traces in views.values() for trace in traces]
    assert len(views) == len(Model)
    assert sorted(shown) == list(range(len(parity_of(section).plot.data)))


def test_the_worst_structures_come_first(section: Section) -> None:
    html = html_of(section)
    assert "largest energy error" in html
    worst = html[html.index("Residual atom refs") :]
    first_error = worst[worst.index('class="number"') :]
    assert "22.6" in first_error or "22.7" in first_error


def test_frames_without_prediction_are_listed_with_the_reason(section: Section) -> None:
    assert "no reference for Yb" in html_of(section)
    assert "yb-1" in html_of(section)


def test_a_study_without_scores_explains_it(study: StudyDoc) -> None:
    assert "There is no document of the evaluation stage" in html_of(
        report_evaluation(study, {})
    )


def test_skill_and_slope_stand_beside_the_error_of_the_baseline(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    document = documents["evaluation/scratch"]
    assert isinstance(document, EvaluationDoc)
    measured = {
        "forces_mae": 0.0578,
        "forces_baseline_mae": 0.0681,
        "forces_skill": 0.1512,
        "forces_pearson_r": 0.8611,
        "forces_slope": 0.7031,
        "forces_cosine": 0.9017,
    }
    errors = document.metrics["test"].model_copy(update=measured)
    changed = document.model_copy(update={"metrics": {"test": errors}})

    html = html_of(report_evaluation(study, {"evaluation/scratch": changed}))

    assert "Skill against the baseline, test split" in html
    for text in ("57.8", "68.1", "0.151", "0.861", "0.703", "0.902"):
        assert text in html


def test_without_a_baseline_no_skill_is_shown(section: Section) -> None:
    assert "Skill against the baseline" not in html_of(section)
