from __future__ import annotations

import pytest

from nextrung.compute.recipe_comparison import (
    choose_by_fold,
    recommend,
    score_validation,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.repeats import ModelDifference, ModelRepeats, RepeatErrors


def repeat(
    split: int, val: float, test: float, seed: int | None = None
) -> RepeatErrors:
    """Build errors of energy and forces that are alike."""
    return RepeatErrors(
        seed=seed,
        split=split,
        val={"energy": val, "forces": 2 * val, "magmoms": 9.0},
        test={"energy": test, "forces": 2 * test},
    )


def of(*repeats: RepeatErrors) -> ModelRepeats:
    return ModelRepeats(repeats=list(repeats), spread={})


REPEATS = {
    "source": of(repeat(0, 0.4, 0.5), repeat(1, 0.4, 0.5)),
    "first": of(repeat(0, 0.1, 0.3), repeat(1, 0.4, 0.1)),
    "second": of(
        repeat(0, 0.3, 0.1, seed=0), repeat(0, 0.1, 0.1, seed=1), repeat(1, 0.2, 0.2)
    ),
}


def difference(
    name: str, change: float, *, significant: bool, model: str = "first"
) -> ModelDifference:
    """Build a difference of a model from the source."""
    ratio = 1 + change
    return ModelDifference(
        property=name,
        model=model,
        reference="source",
        difference=change,
        low=change - 0.05,
        high=change + 0.05,
        ratio=ratio,
        ratio_low=ratio - 0.05,
        ratio_high=ratio + 0.05,
        p_value=0.01,
        p_adjusted=0.01 if significant else 0.5,
        significant=significant,
        n_materials=20,
        n_repeats=5,
    )


def test_scores_are_relative_to_the_source_and_average_seeds() -> None:
    """Second in fold 0: the mean of 0.3 and 0.1 over 0.4; moments do not count."""
    scores = score_validation(REPEATS)

    assert scores["source"] == {0: pytest.approx(1), 1: pytest.approx(1)}
    assert scores["first"] == {0: pytest.approx(0.25), 1: pytest.approx(1)}
    assert scores["second"] == {0: pytest.approx(0.5), 1: pytest.approx(0.5)}


def test_the_choice_of_a_fold_does_not_see_its_test_errors() -> None:
    """In fold 0 validation prefers the first recipe, whose test error is larger."""
    choices = choose_by_fold(REPEATS, score_validation(REPEATS))

    assert [choice.model for choice in choices] == ["first", "second"]
    assert [choice.test["energy"] for choice in choices] == pytest.approx([0.3, 0.2])


def test_a_recipe_without_validation_errors_is_rejected() -> None:
    lost = RepeatErrors(seed=None, split=0, val={}, test={})
    with pytest.raises(InputError, match="validation errors of new in split 0, got no"):
        score_validation({**REPEATS, "new": of(lost)})


SCORES = {"source": 1.0, "first": 0.5, "second": 0.7}


def test_a_recipe_is_recommended_where_test_errors_confirm_it() -> None:
    choice = recommend(
        SCORES,
        [
            difference("energy", -0.5, significant=True),
            difference("forces", -0.01, significant=False),
            difference("energy", 0.9, significant=True, model="second"),
        ],
    )

    assert choice.recommended == choice.candidate == "first"
    assert "energy × 0.50 (0.45 to 0.55); not told apart: forces" in choice.reason


@pytest.mark.parametrize(
    ("scores", "differences", "reason"),
    [
        (
            SCORES,
            [
                difference("energy", -0.5, significant=True),
                difference("forces", 0.3, significant=True),
            ],
            r"worse than those of the source: forces × 1.30",
        ),
        (
            SCORES,
            [difference("energy", -0.1, significant=False)],
            "not told apart from those of the source: energy × 0.90",
        ),
        (SCORES, [], "too few test materials"),
        (
            SCORES,
            [difference("magmoms", -0.5, significant=True)],
            "too few test materials",
        ),
        (
            {"source": 1.0, "first": 1.2},
            [difference("energy", -0.5, significant=True)],
            "no recipe has lower validation errors",
        ),
    ],
)
def test_no_recipe_is_recommended_without_evidence(
    scores: dict[str, float], differences: list[ModelDifference], reason: str
) -> None:
    choice = recommend(scores, differences)

    assert choice.recommended is None
    assert reason in choice.reason.replace("\\", "")
