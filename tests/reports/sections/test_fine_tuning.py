"""The section of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study.models import LAYERS
from tests.reports.browser import figures_of, html_of

from nextrung.reports.sections.fine_tuning import report_fine_tuning
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.models import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc


def test_every_trained_model_has_its_gradients(
    documents: Mapping[str, TaskDoc],
) -> None:
    figure = figures_of(report_fine_tuning(documents))["gradient-norms"]
    assert len(figure.columns["norm"]) == 5 * 3 * len(LAYERS)
    assert set(figure.plot.data[0].x) == set(LAYERS)


def test_a_property_without_labels_has_no_empty_figure(
    documents: Mapping[str, TaskDoc],
) -> None:
    assert set(figures_of(report_fine_tuning(documents))) >= {
        "history-energy",
        "history-forces",
        "history-stress",
    }
    assert "history-magmoms" not in figures_of(report_fine_tuning(documents))


def test_choices_of_a_recipe_are_listed(documents: Mapping[str, TaskDoc]) -> None:
    made = documents["fine_tuning/residual_atom_refs"]
    assert isinstance(made, FineTuningDoc)
    choices = {"trained": "adapters", "adapter_rank": 4}
    recipe = Recipe.model_validate(made.recipe.model_dump() | choices)
    adapted = made.model_copy(update={"recipe": recipe})

    html = html_of(report_fine_tuning({"fine_tuning/own": adapted}))

    assert "<td>adapters of rank 4</td>" in html


def test_histories_are_in_the_unit_of_the_axis(
    documents: Mapping[str, TaskDoc],
) -> None:
    columns = figures_of(report_fine_tuning(documents))["history-energy"].columns
    rows = list(zip(*columns.values(), strict=True))
    assert ("scratch", "val", 3, 60.0) in rows
    assert ("scratch", "train", 1, 180.0) in rows


def test_a_study_without_training_has_a_note() -> None:
    assert "No model of this study was trained." in html_of(report_fine_tuning({}))


def test_unusable_frames_are_listed(documents: Mapping[str, TaskDoc]) -> None:
    assert "lone-1" in html_of(report_fine_tuning(documents))


def test_gains_over_the_baseline_are_listed(documents: Mapping[str, TaskDoc]) -> None:
    findings = {"scratch": {"Forces": "+5 % (-9 to +20)", "Undertrained": "40 steps"}}
    html = html_of(report_fine_tuning(documents, findings=findings))
    assert "What training gained over the baseline" in html
    assert "+5 % (-9 to +20)" in html
    assert "40 steps" in html
    assert "What training gained" not in html_of(report_fine_tuning(documents))


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({}, None),
        ({"n_replayed": 20}, "all targets of 20 replayed crystals are predictions"),
        (
            {"n_source_labelled": 1, "n_replayed": 1},
            "of 1 training frame and all targets of 1 replayed crystal are predictions",
        ),
    ],
)
def test_predictions_of_the_source_are_told_from_labels(
    counts: dict[str, int], text: str | None, documents: Mapping[str, TaskDoc]
) -> None:
    made = {
        key: doc.model_copy(update=counts) if key == "fine_tuning/scratch" else doc
        for key, doc in documents.items()
    }

    html = html_of(report_fine_tuning(made))

    assert ("predictions of the source" in html) == bool(text)
    assert (text or "") in html
