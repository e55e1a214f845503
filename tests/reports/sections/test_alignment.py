"""The section of the energy alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.reports.html.elements import render
from nextrung.reports.plots.figure import Figure
from nextrung.reports.sections.alignment import report_alignment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


@pytest.fixture
def section(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    return report_alignment(study, documents)


def html_of(section: Section) -> str:
    return "".join(render(b) for b in section.blocks if not isinstance(b, Figure))


def test_both_correlations_are_said(section: Section) -> None:
    html = html_of(section)
    assert "= 0.1234 for total energies" in html
    assert "0.9876 after" in html
    assert "The paper" not in html


def test_the_papers_correlations_stand_beside_its_own_study(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    results = study.results.model_copy(update={"study": "mp_r2scan"})
    ours = study.model_copy(update={"results": results})
    assert "The paper: 0.0917 and 0.925" in html_of(report_alignment(ours, documents))


def test_every_frame_is_drawn_with_its_name(section: Section) -> None:
    before, after, shifts, importance = (
        block for block in section.blocks if isinstance(block, Figure)
    )
    for figure in (before, after):
        points = figure.plot.data[1]
        assert len(points.x) == 11
        assert points.text[3] == "Li2O-0 · Li2O"
    assert shifts.columns["shift_eV"] == [-0.5, -8.0, 1.5]
    assert importance.columns["element"] == ["Li", "Mn", "O"]


def test_a_stand_in_for_labels_is_said(section: Section) -> None:
    assert "the predictions of the source potential stand in" in html_of(section)


def test_undetermined_combinations_are_named(section: Section) -> None:
    assert "undetermined: Li + O" in html_of(section)


def test_a_stage_left_out_is_said_and_atom_refs_stay(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    kept = {k: doc for k, doc in documents.items() if k != "alignment"}
    settings = study.settings.model_copy(update={"alignment": None})
    section = report_alignment(study.model_copy(update={"settings": settings}), kept)
    assert "The study leaves the alignment stage out." in html_of(section)
    assert "Atom refs" in html_of(section)
