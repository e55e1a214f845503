"""The section of the energy alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.reports.browser import figures_of, html_of

from nextrung.reports.html.elements import render
from nextrung.reports.sections.alignment import report_alignment
from nextrung.reports.sections.atom_refs import list_atom_refs
from nextrung.schemas.atom_refs import AtomRefDoc, AtomRefPosterior

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


@pytest.fixture
def section(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    return report_alignment(study, documents)


def test_both_correlations_are_given(section: Section) -> None:
    html = html_of(section)
    assert "= 0.1234 for total energies" in html
    assert "0.9876 after" in html
    assert "The paper" not in html


def test_the_correlations_of_the_paper_are_shown_for_its_own_study(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    results = study.results.model_copy(update={"study": "mp_r2scan"})
    ours = study.model_copy(update={"results": results})
    assert "The paper: 0.0917 and 0.925" in html_of(report_alignment(ours, documents))


def test_every_frame_is_drawn_with_its_id(section: Section) -> None:
    before, after, shifts, importance = figures_of(section).values()
    for figure in (before, after):
        points = figure.plot.data[1]
        assert len(points.x) == 11
        assert points.text[3] == "Li2O-0 · Li2O"
    assert shifts.columns["shift_eV"] == [-0.5, -8.0, 1.5]
    assert importance.columns["element"] == ["Li", "Mn", "O"]


def test_predictions_in_place_of_source_labels_are_mentioned(section: Section) -> None:
    assert "source energies are predictions of the source potential" in html_of(section)


def test_undetermined_combinations_are_listed(section: Section) -> None:
    assert "undetermined: Li + O" in html_of(section)


@pytest.fixture
def fit(documents: Mapping[str, TaskDoc]) -> AtomRefDoc:
    found = documents["atom_refs/refit"]
    assert isinstance(found, AtomRefDoc)
    return found


def test_every_element_has_its_energy_before_and_after(fit: AtomRefDoc) -> None:
    (listed,) = list_atom_refs({"refit": fit})
    text = render(listed)
    assert "21 frames, rank 2, residual 100.0 meV/atom" in text
    for value in ("-9.0", "-17.0", "-8.0"):
        assert f'value="{value}"' in text


def test_unchanged_references_are_those_of_the_source(fit: AtomRefDoc) -> None:
    kept = fit.model_copy(update={"fit": None})
    (listed,) = list_atom_refs({"none": kept})
    assert "those of the source" in render(listed)


def test_elements_of_the_prior_and_errors_on_left_out_materials_are_named(
    fit: AtomRefDoc,
) -> None:
    posterior = AtomRefPosterior(
        standard_errors={"Li": 0.125, "Mn": 0.25, "O": 0.5},
        covariance=[[0.015625], [0, 0.0625], [0, 0, 0.25]],
        unseen=["Mn"],
        n_materials=12,
        material_noise=0.1,
        frame_noise=0.0,
        interval_factor=1.7,
        left_out_mae=0.04,
        left_out_coverage=0.75,
        amplitude=10.0,
        priors={"elements independent": 1.0},
    )
    assert fit.fit is not None
    estimated = fit.fit.model_copy(update={"posterior": posterior})

    (listed,) = list_atom_refs({"residual": fit.model_copy(update={"fit": estimated})})

    text = render(listed)
    assert "left-out materials: MAE 40.0 meV/atom, 75% of 12 within their" in text
    assert "no frame, from the prior: Mn" in text
    assert "Mn (prior)" in text
    assert 'value="0.125"' in text
    (listed,) = list_atom_refs({"refit": fit})
    assert "left-out" not in render(listed)
    assert "prior" not in render(listed)


def test_a_study_without_alignment_still_lists_atom_refs(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    kept = {k: doc for k, doc in documents.items() if k != "alignment"}
    settings = study.settings.model_copy(update={"alignment": None})
    section = report_alignment(study.model_copy(update={"settings": settings}), kept)
    assert "The study leaves the alignment stage out." in html_of(section)
    assert "Atom refs" in html_of(section)
