"""Two studies whose models are compared on the same test frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_evaluations, make_fine_tuning
from tests.reports.browser import html_of

from nextrung.reports.pages.paired_studies import compare_studies
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.models import FinishedPotential, Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.evaluation import FrameResiduals
    from nextrung.schemas.study import StudyDoc, StudyResults

MINUS = "\N{MINUS SIGN}"


@pytest.fixture
def first(study: StudyDoc) -> StudyResults:
    return study.results.model_copy(update={"study": "of_chgnet"})


@pytest.fixture
def second(study: StudyDoc) -> StudyResults:
    renamed = {"study": "of_sevennet", "source": "sevennet-0"}
    return study.results.model_copy(update=renamed)


def evaluate(n_materials: int = 40, **errors: float) -> dict[str, TaskDoc]:
    """Build the documents of a study of these errors of forces."""
    models = {Model(model): {"forces": error} for model, error in errors.items()}
    return make_evaluations(models, n_materials=n_materials)


def change(
    documents: dict[str, TaskDoc], changed: Callable[[FrameResiduals], FrameResiduals]
) -> dict[str, TaskDoc]:
    """Change the frames of every evaluation."""
    made: dict[str, TaskDoc] = {}
    for part, document in documents.items():
        assert isinstance(document, EvaluationDoc)
        made[part] = document.model_copy(update={"rows": changed(document.rows)})
    return made


def test_models_of_both_studies_are_compared_with_an_interval(
    first: StudyResults, second: StudyResults
) -> None:
    documents = (
        evaluate(scratch=0.06, residual_atom_refs=0.04),
        evaluate(scratch=0.06, residual_atom_refs=0.02),
    )

    section = compare_studies(first, second, documents)
    html = html_of(section)

    assert section.title == "of_sevennet against of_chgnet"
    assert f"{MINUS}50 % ({MINUS}" in html
    assert ">40.0</data>" in html
    assert html.count("</tr>") == 3  # titles, scratch, residual atom refs


def test_sources_are_named_with_family_and_functional(
    first: StudyResults, second: StudyResults
) -> None:
    own = {"family": "sevennet", "functional": "PBE", "source": "sevennet-0"}
    sevennet = make_fine_tuning("source", 1.0).model_copy(update=own)
    documents = (
        evaluate(source=0.06) | {"fine_tuning/source": make_fine_tuning("source", 1.0)},
        evaluate(source=0.06) | {"fine_tuning/source": sevennet},
    )

    html = html_of(compare_studies(first, second, documents))

    assert "source potential chgnet-0.3.0, family chgnet, r2SCAN." in html
    assert "source potential sevennet-0, family sevennet, PBE." in html


def test_other_test_frames_are_not_compared(
    first: StudyResults, second: StudyResults
) -> None:
    documents = (evaluate(40, scratch=0.06), evaluate(30, scratch=0.02))

    html = html_of(compare_studies(first, second, documents))

    assert "the test frames differ, 30 are in both, of 40 and 30" in html
    assert "<table" not in html


def test_other_labels_of_the_same_frames_are_not_compared(
    first: StudyResults, second: StudyResults
) -> None:
    def shift(rows: FrameResiduals) -> FrameResiduals:
        return rows.model_copy(update={"energy_per_atom": [1.0] * len(rows.frame_id)})

    def label(rows: FrameResiduals) -> FrameResiduals:
        return rows.model_copy(update={"energy_per_atom": [0.0] * len(rows.frame_id)})

    documents = evaluate(scratch=0.06)
    pair = (change(documents, label), change(documents, shift))

    html = html_of(compare_studies(first, second, pair))

    assert "the labels of 40 of 40 test frames differ" in html
    assert "<table" not in html


def test_too_few_materials_have_no_interval(
    first: StudyResults, second: StudyResults
) -> None:
    documents = (evaluate(4, scratch=0.06), evaluate(4, scratch=0.02))

    html = html_of(compare_studies(first, second, documents))

    assert "fewer than five test materials" in html
    assert " % (" not in html


def test_studies_without_documents_are_not_compared(
    first: StudyResults, second: StudyResults
) -> None:
    html = html_of(compare_studies(first, second, ({}, {})))

    assert "the test frames differ, 0 are in both" in html


def test_finished_potentials_are_the_same_in_both_and_left_out(
    first: StudyResults, second: StudyResults
) -> None:
    finished = FinishedPotential(
        potential="scratch", functional="r2SCAN", same_functional=True
    )
    named = first.model_copy(update={"finished": {"scratch": finished}})
    documents = (evaluate(scratch=0.06), evaluate(scratch=0.02))

    assert "1 · From scratch" not in html_of(compare_studies(named, second, documents))
