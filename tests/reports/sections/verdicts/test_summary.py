"""Summary in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import replace_models

from nextrung.reports.sections.verdicts.summary import (
    advise,
    describe_best_model,
    describe_transfer,
    summarise,
)
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyDoc, StudyResults


@pytest.fixture
def results(study: StudyDoc) -> StudyResults:
    return study.results


def test_the_best_model_is_compared_with_others(
    results: StudyResults,
) -> None:
    (text,) = describe_best_model(results)
    assert text == (
        "Residual atom refs has the lowest energy error on the test split: 15.1 "
        "meV/atom, 4.0 times lower than training from scratch (60.0 meV/atom) and "
        "152.3 times lower than the untouched source (2,300.0 meV/atom)."
    )


def test_the_best_model_is_not_compared_with_itself(results: StudyResults) -> None:
    scored = replace_models(results, {Model.SCRATCH: (0.02, 1, 1)})
    assert describe_best_model(scored) == [
        "1 · From scratch has the lowest energy error on the test split: 20.0 meV/atom."
    ]


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ((0.01, 0.5, 0.5), "Transfer helped:"),
        ((0.01, 2.0, 0.5), "Transfer helped in part:"),
        ((0.03, 2.0, 2.0), "Transfer did not help:"),
    ],
)
def test_the_verdict_on_transfer_follows_all_errors(
    results: StudyResults,
    errors: tuple[float, float, float],
    verdict: str,
) -> None:
    scored = replace_models(
        results, {Model.SCRATCH: (0.02, 1, 1), Model.REFITTED_ATOM_REFS: errors}
    )
    (text,) = describe_transfer(scored)
    assert text.startswith(verdict)


def test_transfer_is_compared_with_scratch_only(
    results: StudyResults,
) -> None:
    assert (
        describe_transfer(replace_models(results, {Model.FROZEN_ATOM_REFS: (1, 1, 1)}))
        == []
    )


def test_negative_transfer_with_moved_references_asks_for_more_training(
    results: StudyResults,
) -> None:
    scored = replace_models(
        results,
        {
            Model.SCRATCH: (0.02, 1.0, 1.0),
            Model.RESIDUAL_ATOM_REFS: (0.01, 1.2, 0.9),
        },
    )
    assert any("train them longer" in text for text in advise(scored))


def test_a_small_test_split_is_mentioned(results: StudyResults) -> None:
    assert any("only 3 materials" in text for text in summarise(results))


def test_without_scores_there_is_no_advice(results: StudyResults) -> None:
    empty = replace_models(results, {}).model_copy(
        update={
            "alignment": None,
            "scaling_law": None,
            "dataset": results.dataset.model_copy(update={"n_materials_by_split": {}}),
        }
    )
    assert summarise(empty) == ["No model was scored on the test split."]
    assert advise(empty) == []


def test_without_a_scaling_law_it_is_recommended(results: StudyResults) -> None:
    advice = advise(results.model_copy(update={"scaling_law": None}))
    assert any(text.startswith("Run the scaling law to learn") for text in advice)


def test_advice_names_the_checkpoint_and_the_sizes(results: StudyResults) -> None:
    advice = " ".join(advise(results))
    assert "models/residual_atom_refs.pth.tar of the run folder" in advice
    assert "For 10 meV/atom with 4 · Refitted atom refs: about 4,642" in advice


def test_negative_transfer_with_kept_references_asks_to_move_them(
    results: StudyResults,
) -> None:
    scored = replace_models(
        results,
        {
            Model.SCRATCH: (0.02, 1.0, 1.0),
            Model.FROZEN_ATOM_REFS: (0.01, 1.2, 0.9),
            Model.REFITTED_ATOM_REFS: (0.01, 0.9, 0.9),
        },
    )
    assert (
        "Do not relax or run dynamics with 3 · Frozen atom refs; move their atomic "
        "references to the target functional first."
    ) in advise(scored)


def test_both_ways_of_rereferencing_are_described(results: StudyResults) -> None:
    assert results.alignment
    both = results.alignment.model_copy(update={"correlation_residual": 0.991})
    summary = " ".join(summarise(results.model_copy(update={"alignment": both})))
    assert "with refitted references, to 0.991 with shifted references." in summary
