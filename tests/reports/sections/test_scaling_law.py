"""The section of the scaling law."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.reports.browser import figures_of, html_of

from nextrung.reports.sections.scaling_law import (
    describe_crossing,
    describe_size,
    report_scaling_law,
)
from nextrung.schemas.models import Model
from nextrung.schemas.scaling_law import (
    Crossing,
    FittedReferences,
    Leader,
    RequiredSize,
    ScalingLawDoc,
    ScalingLawSettings,
    ScalingPoint,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


@pytest.fixture
def section(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    return report_scaling_law(study, documents)


def test_fitted_lines_pass_through_points_that_obey_them(section: Section) -> None:
    energy = figures_of(section)["scaling-energy"]
    lines = [trace for trace in energy.plot.data if trace.mode == "lines"]
    points = [trace for trace in energy.plot.data if trace.mode == "markers"]
    assert len(lines) == len(points) == 2
    for line, dots in zip(lines, points, strict=True):
        fitted = np.interp(np.log(dots.x), np.log(line.x), np.log(line.y))
        np.testing.assert_allclose(np.exp(fitted), dots.y)


def test_too_few_points_give_the_reason(section: Section) -> None:
    assert "1 size above 1,000 frames, 2 are needed" in html_of(section)
    assert "Forces: no law to cross." in html_of(section)


def test_required_sizes_are_listed(section: Section) -> None:
    assert "10.0\N{NO-BREAK SPACE}meV/atom" in html_of(section)
    assert ">4,642<" in html_of(section)


@pytest.mark.parametrize(
    ("crossing", "text"),
    [
        (Crossing(n_frames=1234.4), "the fits cross at 1,234 training frames."),
        (
            Crossing(n_frames=1234.4, leader=Leader.TRANSFER, largest_size=1000),
            (
                "transfer is ahead at every size studied, up to 1,000 frames; "
                "the fits cross beyond the data, at 1,234 training frames."
            ),
        ),
        (
            Crossing(n_frames=5e11, leader=Leader.TRANSFER, largest_size=8),
            "every size studied, up to 8 frames; the fits cross far beyond the data.",
        ),
        (
            Crossing(error="x", leader=Leader.SCRATCH, largest_size=35),
            "training from scratch is ahead at every size studied, up to 35 frames; x.",
        ),
        (
            Crossing(n_frames=10, leader=Leader.NEITHER, largest_size=35),
            "the fits cross at 10 training frames.",
        ),
        (
            Crossing(n_frames=10, low=5, high=20),
            "the fits cross at 10 training frames (95 % interval 5 to 20).",
        ),
        (
            Crossing(n_frames=2e4, leader=Leader.TRANSFER, largest_size=1000),
            "the fits cross, extrapolated 20-fold beyond the data, at 20,000",
        ),
        (
            Crossing(error="the fits do not cross", low=500, high=None),
            "the fits do not cross (95 % interval 500 to infinity).",
        ),
        (
            Crossing(n_frames=10, undertrained_sizes=(300, 1000)),
            "training from scratch is undertrained at 300, 1,000 frames",
        ),
        (Crossing(n_frames=10, low=5, high=None), "interval 5 to infinity"),
        (Crossing(error="parallel"), "parallel."),
        (Crossing(), "the fits do not cross."),
    ],
)
def test_crossings_have_their_interval(crossing: Crossing, text: str) -> None:
    assert text in describe_crossing(crossing)


def report_changed(
    study: StudyDoc, documents: Mapping[str, TaskDoc], **changes: object
) -> str:
    """Report the scaling law with other fields."""
    law = documents["scaling_law"].model_copy(update=changes)
    return html_of(report_scaling_law(study, {"scaling_law": law}))


def test_points_that_leave_frames_out_are_listed_and_said(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    point = ScalingPoint(
        model=Model.SCRATCH,
        n_frames=100,
        n_materials=5,
        energy_mae=0.1,
        forces_mae=0.1,
        n_scored=30,
        n_unscored=12,
    )
    whole = point.model_copy(update={"n_scored": 42, "n_unscored": 0})

    assert "leave frames out" not in report_changed(study, documents, points=[whole])
    shown = report_changed(study, documents, points=[point, whole])
    assert "1 of 2 errors leave frames out" in shown
    assert ">12<" in shown
    assert ">42<" in shown


@pytest.mark.parametrize(
    ("references", "words"),
    [
        (FittedReferences.SUBSET, "fitted to the frames of each training."),
        (FittedReferences.TRAINING_SPLIT, "errors of small sizes are too low."),
    ],
)
def test_the_frames_of_the_references_are_said(
    study: StudyDoc,
    documents: Mapping[str, TaskDoc],
    references: FittedReferences,
    words: str,
) -> None:
    settings = ScalingLawSettings(fitted_references=references)

    assert words in report_changed(study, documents, settings=settings)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({}, ""),
        ({"low": 10, "high": 4000}, " (95 % interval 10 to 4,000)"),
        (
            {"low": 10, "extrapolated": True},
            " (95 % interval 10 to infinity), extrapolated",
        ),
    ],
)
def test_a_required_size_has_its_interval_and_says_if_it_is_extrapolated(
    size: dict[str, Any], words: str
) -> None:
    required = RequiredSize(
        model=Model.SCRATCH, error_wanted=0.01, n_frames=100, **size
    )

    assert describe_size(required) == words


def test_a_study_without_scaling_law_explains_it(study: StudyDoc) -> None:
    settings = study.settings.model_copy(update={"scaling_law": None})
    section = report_scaling_law(study.model_copy(update={"settings": settings}), {})
    assert "The study leaves the scaling law stage out." in html_of(section)


def test_a_law_without_labels_is_left_out_and_said(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    document = documents["scaling_law"]
    assert isinstance(document, ScalingLawDoc)
    laws = {"energy_mae": document.laws["energy_mae"]}
    alone = document.model_copy(update={"laws": laws})

    html = html_of(report_scaling_law(study, {**documents, "scaling_law": alone}))

    assert "Forces: no law, as no frame of the val split has forces." in html
    assert "Forces: no law to cross." not in html
