"""Parity plot of decomposition energies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nextrung.reports.plots.decomposition import plot_decomposition
from nextrung.reports.sections.section import documents_of
from nextrung.schemas.stability.table import LoadedStability

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc


@pytest.fixture
def scored(documents: Mapping[str, TaskDoc]) -> dict[str, LoadedStability]:
    return documents_of(documents, "stability", LoadedStability)


def test_test_materials_and_others_are_separate_traces(
    scored: dict[str, LoadedStability],
) -> None:
    (figure,) = plot_decomposition({"scratch": scored["scratch"]}, "scratch")
    equality, others, test = figure.plot.data
    assert equality.mode == "lines"
    assert len(test.x) == 3
    assert len(others.x) == 7
    assert any("Li2O2" in text and "m-Li2O2" in text for text in test.text)


def test_energies_are_in_mev(scored: dict[str, LoadedStability]) -> None:
    (figure,) = plot_decomposition({"scratch": scored["scratch"]}, "scratch")
    test = figure.plot.data[2]
    assert list(test.x) == pytest.approx([60, -20, -20])
    assert list(test.y) == pytest.approx([120, 40, 40])


def test_the_best_model_is_shown_first(scored: dict[str, LoadedStability]) -> None:
    (figure,) = plot_decomposition(scored, "residual_atom_refs")
    assert figure.shown == "Residual atom refs"


def test_without_materials_there_is_no_figure(
    scored: dict[str, LoadedStability],
) -> None:
    empty = scored["scratch"].model_copy(
        update={"rows": scored["scratch"].rows.take(np.arange(0))}
    )
    assert plot_decomposition({"scratch": empty}, "scratch") == []
