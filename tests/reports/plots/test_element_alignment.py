from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.reports.plots.element_alignment import plot_elements
from nextrung.schemas.alignment import AlignmentCorrections, AlignmentDoc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc


@pytest.fixture
def alignment(documents: Mapping[str, TaskDoc]) -> AlignmentDoc:
    document = documents["alignment"]
    assert isinstance(document, AlignmentDoc)
    return document


def update(document: AlignmentDoc, **changes: float) -> AlignmentDoc:
    elements = {
        symbol: found.model_copy(update=changes)
        for symbol, found in document.elements.items()
    }
    return document.model_copy(update={"elements": elements})


def test_shifts_and_importances_are_drawn(alignment: AlignmentDoc) -> None:
    figures = {figure.name: figure for figure in plot_elements(alignment)}
    assert list(figures) == ["element-shifts", "element-importance"]
    assert figures["element-importance"].columns["n_atoms"] == [10, 10, 10]
    caption = figures["element-importance"].caption
    assert caption.endswith("Before normalisation: Li 0.30, Mn 0.30, O 0.30.")


def test_both_importances_are_drawn_where_there_are_corrections(
    alignment: AlignmentDoc,
) -> None:
    both = update(
        alignment, importance_uncorrected=0.1, normalised_importance_uncorrected=1.0
    ).model_copy(update={"corrections": AlignmentCorrections.IN_SOURCE})
    *_, corrected, plain = plot_elements(both)
    assert "with the MP2020 corrections" in corrected.caption
    assert "without the MP2020 corrections" in plain.caption
    assert "Fig. 1d" in plain.caption
    assert plain.columns["importance"] == [0.1] * 3


def test_elements_without_a_phase_are_named(alignment: AlignmentDoc) -> None:
    lacking = alignment.model_copy(update={"elements_without_phase": ["Mn", "O"]})
    assert "no pure phase of Mn, O" in plot_elements(lacking)[-1].caption
    many = alignment.model_copy(update={"elements_without_phase": ["X"] * 9})
    assert "no pure phase of 9 of 3 elements" in plot_elements(many)[-1].caption


def test_without_importances_only_shifts_are_drawn(
    alignment: AlignmentDoc,
) -> None:
    figures = plot_elements(update(alignment, importance=0.0))
    assert [figure.name for figure in figures] == ["element-shifts"]
