"""The sections of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import pytest
from tests.made_up_study import make_evaluations, make_fine_tuning
from tests.reports.browser import figures_of, html_of

from nextrung.reports.pages.study import report_results, report_study, report_summary
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.models import FinishedPotential, Model

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
    assert len(sections) == 12


def test_summary_and_results_need_the_study_only(study: StudyDoc) -> None:
    nothing = read_evidence({})
    assert report_summary(study, {}, nothing).anchor == "summary"
    assert report_results(study, {}, nothing).anchor == "results"


def test_densities_are_compared_over_the_crystals_common_to_all(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    """One model loses its worst crystals: it must not look better for that."""
    scratch = documents["density/scratch"]
    assert isinstance(scratch, DensityDoc)
    kept = [row for row in scratch.rows if row.crystal_id in {"crystal-3", "crystal-5"}]
    fewer = scratch.model_copy(update={"rows": kept})
    changed = {**documents, "density/scratch": fewer}

    html = html_of(report_results(study, changed, read_evidence(changed)))

    assert "Densities: over the 2 crystals that all models relax." in html
    source = documents["density/source"]
    assert isinstance(source, DensityDoc)
    errors = [
        abs((row.experimental_density or 0) - (row.predicted_density or 0))
        for row in source.rows
        if row.crystal_id in {"crystal-3", "crystal-5"}
    ]
    assert f">{sum(errors) / 2:.3f}<" in html
    assert f">{source.mae:.3f}<" not in html


@pytest.mark.parametrize("same_functional", [True, False])
def test_finished_potentials_are_explained_beside_the_models(
    study: StudyDoc, documents: Mapping[str, TaskDoc], *, same_functional: bool
) -> None:
    functional = "r2SCAN" if same_functional else "PBE"
    finished = FinishedPotential(
        potential="sevennet-0", functional=functional, same_functional=same_functional
    )
    models = study.results.models | {"sevennet-0": study.results.models[Model.SOURCE]}
    named = {"finished": {"sevennet-0": finished}, "models": models}
    results = study.results.model_copy(update=named)
    made = make_fine_tuning("sevennet-0", 0.1)
    beside = {
        **documents,
        "fine_tuning/sevennet-0": made.model_copy(update={"functional": functional}),
    }

    sections = report_study(study.model_copy(update={"results": results}), beside)

    html = {section.anchor: html_of(section) for section in sections}
    assert "their training data may include the test materials" in html["results"]
    refused = "sevennet-0: of another functional than the labels" in html["results"]
    assert refused is not same_functional
    assert "finished potential" in html["fine-tuning"]
    assert f'<span class="badge">{functional}</span>' in html["fine-tuning"]


def test_a_study_without_finished_potentials_does_not_mention_them(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    for section in report_study(study, documents):
        assert "finished potential" not in html_of(section)


def test_the_summary_begins_with_what_to_use(study: StudyDoc) -> None:
    evaluations = make_evaluations(
        {Model.SCRATCH: {"energy": 0.06}, Model.RESIDUAL_ATOM_REFS: {"energy": 0.01}}
    )
    section = report_summary(study, evaluations, read_evidence(evaluations))
    html = html_of(section)
    assert html.index("What to use") < html.index("Findings")
    assert "chosen on validation" in html


def test_no_model_is_bold_for_a_lead_by_chance(study: StudyDoc) -> None:
    """Three models: two that no difference is shown between, and a worse one."""
    energies = {
        Model.SCRATCH: {"energy": 0.0501},
        Model.RESIDUAL_ATOM_REFS: {"energy": 0.05},
        Model.SOURCE: {"energy": 0.2},
    }
    evaluations = make_evaluations(energies)
    section = report_results(study, evaluations, read_evidence(evaluations))
    bold = {
        th.get("data-model")
        for block in section.blocks
        if isinstance(block, Element)
        for line in block.iter("tr")
        for th in line.iter("th")
        for td in line
        if td.get("data-column") == "energy" and "best" in (td.get("class") or "")
    }
    assert bold == {Model.SCRATCH, Model.RESIDUAL_ATOM_REFS}
