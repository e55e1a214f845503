"""The section of the phase stability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import tabulate
from tests.reports.browser import figures_of, html_of

from nextrung.reports.html.elements import render
from nextrung.reports.sections.relaxation import list_statuses
from nextrung.reports.sections.stability import report_stability
from nextrung.schemas.models import Model
from nextrung.schemas.stability import StabilityDoc
from nextrung.schemas.stability.table import LoadedStability

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


@pytest.fixture
def section(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    return report_stability(study, documents)


def test_failed_relaxations_are_listed_but_not_plotted(
    section: Section,
) -> None:
    figure = figures_of(section)["decomposition"]
    models = figure.columns["model"]
    assert models.count(Model.SCRATCH) == 10
    assert models.count(Model.REFITTED_ATOM_REFS) == 11
    assert "an atom has no neighbour within 6 Å" in html_of(section)


def test_the_confusion_matrix_is_listed(section: Section) -> None:
    html = html_of(section)
    for title in ("Stable, predicted stable", "Unstable, predicted stable", "F1"):
        assert title in html
    assert '<data value="0.7692307692307693">0.769</data>' in html


def test_elements_without_a_pure_phase_are_listed(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    hull = documents["stability/source"]
    assert isinstance(hull, LoadedStability)
    records = hull.rows.to_records()
    rows = [
        row.model_copy(update={"target_formation_energy": None})
        for row in records
        if row.chemical_system != "Mn" and "Mn" in row.chemical_system
    ] + [row for row in records if "Mn" not in row.chemical_system]
    kept = {"stability/source": hull.model_copy(update={"rows": tabulate(rows)})}
    html = html_of(report_stability(study, kept))
    assert "no pure phase of Mn: 5 materials of 10" in html


def test_models_without_their_table_are_named_and_keep_their_errors(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    loaded = documents["stability/scratch"]
    stored = StabilityDoc(**{k: v for k, v in dict(loaded).items() if k != "rows"})
    html = html_of(report_stability(study, {"stability/scratch": stored}))
    assert "leave out 1 model: expected the tables" in html
    assert stored.records.path in html
    assert "F1" in html
    assert "Hull explorer" not in html
    both = {**documents, "stability/scratch": stored}
    assert "leave out 1 model" in html_of(report_stability(study, both))
    assert "leave out" not in html_of(report_stability(study, documents))


def test_a_status_that_never_occurred_counts_zero() -> None:
    (made,) = list_statuses({"scratch": {"converged": 5}}, {})
    values = [data.get("value") for data in made.iter("data")]
    assert values == ["5", "0", "0", "0", "0"]
    assert "1 · From scratch" in render(made)


def test_relaxations_without_hulls_are_still_counted(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    kept = {k: doc for k, doc in documents.items() if not k.startswith("stability")}
    settings = study.settings.model_copy(update={"stability": None})
    section = report_stability(study.model_copy(update={"settings": settings}), kept)
    html = html_of(section)
    assert "The study leaves the stability stage out." in html
    assert "isolated atom" in html
    assert "88 relaxations took 16.0 s" in html


def test_a_study_without_relaxation_explains_it(study: StudyDoc) -> None:
    settings = study.settings.model_copy(update={"stability": None, "relaxation": None})
    section = report_stability(study.model_copy(update={"settings": settings}), {})
    assert "The study leaves the relaxation stage out." in html_of(section)
