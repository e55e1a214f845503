"""Documents of sections, and notes on missing ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.reports.sections.section import (
    document_of,
    documents_of,
    explain_absence,
    list_colours,
)
from nextrung.schemas.alignment import AlignmentDoc, AlignmentSettings
from nextrung.schemas.base import InputError, TaskDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_a_document_is_found_by_its_stage(documents: Mapping[str, TaskDoc]) -> None:
    found = document_of(documents, "alignment", AlignmentDoc)
    assert found is documents["alignment"]
    assert document_of({}, "alignment", AlignmentDoc) is None


def test_a_document_of_another_stage_is_refused(
    documents: Mapping[str, TaskDoc],
) -> None:
    with pytest.raises(InputError, match=r"'dataset': expected a AlignmentDoc, got a "):
        document_of(documents, "dataset", AlignmentDoc)


def test_documents_of_all_models_come_in_order(
    documents: Mapping[str, TaskDoc],
) -> None:
    backwards = dict(reversed(list(documents.items())))
    assert list(documents_of(backwards, "evaluation", EvaluationDoc)) == list(Model)


def test_a_stage_left_out_differs_from_an_unfinished_one() -> None:
    assert "leaves the alignment stage out" in (
        explain_absence("alignment", None).text or ""
    )
    assert "not finished" in (
        explain_absence("alignment", AlignmentSettings()).text or ""
    )


def test_colours_are_listed_in_order() -> None:
    made = list_colours([Model.SCRATCH, Model.SOURCE])
    assert [entry[0].tail for entry in made] == [
        "Source, untouched",
        "1 · From scratch",
    ]
