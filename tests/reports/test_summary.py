"""What the numbers say, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.reports.summary import (
    advise,
    find_signatures,
    say_transfer,
    say_winner,
    summarise,
)
from nextrung.schemas.evaluation import PropertyErrors
from nextrung.schemas.models import Model
from nextrung.schemas.study import ModelSummary

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyDoc, StudyResults


@pytest.fixture
def results(study: StudyDoc) -> StudyResults:
    return study.results


def score(
    results: StudyResults, errors: dict[Model, tuple[float, float, float]]
) -> StudyResults:
    """Replace the models by others of these energy, forces and stress errors."""
    models = {
        model: ModelSummary(
            metrics={
                "test": PropertyErrors(
                    n_frames=9,
                    n_failed=0,
                    energy_mae=energy,
                    forces_mae=forces,
                    stress_mae=stress,
                )
            },
            stability=None,
            density=None,
            best_epoch=None,
            n_train_frames=0,
            checkpoint="models/x.pt",
            checkpoint_sha256="0" * 64,
        )
        for model, (energy, forces, stress) in errors.items()
    }
    return results.model_copy(update={"models": models})


def test_the_winner_is_set_against_scratch_and_source(results: StudyResults) -> None:
    (text,) = say_winner(results)
    assert text == (
        "Residual atom refs has the lowest energy error on the test split: 15.1 "
        "meV/atom, 4.0 times lower than training from scratch (60.0 meV/atom) and "
        "152.3 times lower than the untouched source (2,300.0 meV/atom)."
    )


def test_the_winner_is_not_set_against_itself(results: StudyResults) -> None:
    scored = score(results, {Model.SCRATCH: (0.02, 1, 1)})
    assert say_winner(scored) == [
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
    results: StudyResults, errors: tuple[float, float, float], verdict: str
) -> None:
    scored = score(
        results, {Model.SCRATCH: (0.02, 1, 1), Model.REFITTED_ATOM_REFS: errors}
    )
    (text,) = say_transfer(scored)
    assert text.startswith(verdict)


def test_transfer_is_not_judged_without_scratch(results: StudyResults) -> None:
    assert say_transfer(score(results, {Model.FROZEN_ATOM_REFS: (1, 1, 1)})) == []


def test_negative_transfer_is_named_with_its_size(results: StudyResults) -> None:
    scored = score(
        results,
        {
            Model.SCRATCH: (0.02, 1.0, 1.0),
            Model.FROZEN_ATOM_REFS: (0.01, 1.2, 0.9),
            Model.REFITTED_ATOM_REFS: (0.01, 0.9, 0.9),
        },
    )
    (sign,) = find_signatures(scored)
    assert sign.startswith("Negative transfer")
    assert "3 · Frozen atom refs" in sign
    assert "forces" in sign
    assert "20" in sign
    assert "4 · Refitted" not in sign
    assert (
        "Do not relax or run dynamics with 3 · Frozen atom refs; move their atomic "
        "references to the target functional first."
    ) in advise(scored)


def test_negative_transfer_with_moved_references_asks_for_more_training(
    results: StudyResults,
) -> None:
    scored = score(
        results,
        {
            Model.SCRATCH: (0.02, 1.0, 1.0),
            Model.RESIDUAL_ATOM_REFS: (0.01, 1.2, 0.9),
        },
    )
    assert any("train them longer" in text for text in advise(scored))


def test_lost_atoms_and_missing_error_cancellation_are_named(
    results: StudyResults,
) -> None:
    signs = find_signatures(results)
    lost = [sign for sign in signs if sign.startswith("Lost atoms")]
    hulls = [sign for sign in signs if sign.startswith("No error cancellation")]
    assert "1 · From scratch" in " ".join(lost)
    assert "4 · Refitted atom refs" not in " ".join(lost)
    assert "4 · Refitted atom refs" in " ".join(hulls)


def test_a_weak_correlation_is_a_sign(results: StudyResults) -> None:
    assert results.alignment is not None
    weak = results.alignment.model_copy(update={"correlation_referenced": 0.5})
    signs = find_signatures(results.model_copy(update={"alignment": weak}))
    assert any(sign.startswith("Weak correlation: 0.50") for sign in signs)
    assert not any("Weak" in sign for sign in find_signatures(results))


def test_a_small_test_split_is_a_caution(results: StudyResults) -> None:
    assert any("only 3 materials" in text for text in summarise(results))


def test_nothing_scored_is_said(results: StudyResults) -> None:
    empty = score(results, {}).model_copy(
        update={
            "alignment": None,
            "scaling_law": None,
            "dataset": results.dataset.model_copy(update={"n_materials_by_split": {}}),
        }
    )
    assert summarise(empty) == ["No model was scored on the test split."]
    assert advise(empty) == [
        "Run the scaling law to learn how much more target data would help."
    ]


def test_advice_names_the_checkpoint_and_the_sizes(results: StudyResults) -> None:
    advice = " ".join(advise(results))
    assert "models/residual_atom_refs.parquet" in advice
    assert "For 10 meV/atom with 4 · Refitted atom refs: about 4,642" in advice
