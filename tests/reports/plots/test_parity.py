"""Parity plot and error distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nextrung.reports.plots.figure import Figure
from nextrung.reports.plots.parity import find_test_frames, plot_errors, plot_parity
from nextrung.reports.plots.sampling import MAX_POINTS
from nextrung.reports.sections.section import documents_of
from nextrung.schemas.evaluation import EvaluationDoc, FrameResiduals
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc


@pytest.fixture
def scored(documents: Mapping[str, TaskDoc]) -> dict[str, EvaluationDoc]:
    return documents_of(documents, "evaluation", EvaluationDoc)


def make_rows(labels: list[float | None], split: str = "test") -> FrameResiduals:
    n_frames = len(labels)
    names = [f"frame-{index}" for index in range(n_frames)]
    return FrameResiduals(
        frame_id=names,
        material_id=names,
        formula=["Li"] * n_frames,
        split=[split] * n_frames,
        energy_per_atom=labels,
        predicted_energy_per_atom=[0.001 * index for index in range(n_frames)],
        forces_mae=[None] * n_frames,
        stress_mae=[None] * n_frames,
        magmoms_mae=[None] * n_frames,
    )


def test_frames_without_label_are_not_test_frames() -> None:
    assert find_test_frames(make_rows([0.0, None, 1.0])) == [0, 2]
    assert find_test_frames(make_rows([0.0], split="val")) == []


def test_too_many_frames_are_sampled_and_the_caption_says_so(
    scored: dict[str, EvaluationDoc],
) -> None:
    rows = make_rows([0.0] * (MAX_POINTS + 1000))
    many = scored["source"].model_copy(update={"rows": rows})
    (figure,) = plot_parity({"source": many}, "source")
    assert isinstance(figure, Figure)
    assert len(figure.plot.data[1].x) == MAX_POINTS
    assert "4,000 of 5,000 points are drawn" in figure.caption
    assert len(figure.columns["frame_id"]) == 5000


def test_names_are_no_html(scored: dict[str, EvaluationDoc]) -> None:
    rows = make_rows([0.0, 1.0]).model_copy(update={"frame_id": ["<a>x", "y"]})
    (figure,) = plot_parity(
        {"source": scored["source"].model_copy(update={"rows": rows})}, "source"
    )
    assert isinstance(figure, Figure)
    assert figure.plot.data[1].text[0] == "<b>Li</b> &lt;a&gt;x<br>frame-0"


def test_without_labelled_test_frames_there_is_a_note(
    scored: dict[str, EvaluationDoc],
) -> None:
    empty = scored["source"].model_copy(update={"rows": make_rows([None])})
    (note,) = plot_parity({"source": empty}, "source")
    assert not isinstance(note, Figure)
    assert "No labelled test frame" in (note.text or "")
    assert plot_errors({"source": empty}) == []


def test_the_best_model_is_shown_first(scored: dict[str, EvaluationDoc]) -> None:
    (figure,) = plot_parity(scored, Model.SCRATCH)
    assert isinstance(figure, Figure)
    assert figure.shown == "1 · From scratch"


def test_shares_are_quantiles_of_the_errors(scored: dict[str, EvaluationDoc]) -> None:
    rows = make_rows([0.0] * 101)
    document = scored["source"].model_copy(update={"rows": rows})
    (figure,) = plot_errors({"source": document})
    np.testing.assert_allclose(figure.columns["source_meV_per_atom"], np.arange(101))
    (curve,) = figure.plot.data
    assert curve.x[50] == pytest.approx(50)
    assert curve.y[50] == pytest.approx(50)
