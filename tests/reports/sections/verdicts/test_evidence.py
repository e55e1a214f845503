"""Evidence of verdicts over several repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_evaluations

from nextrung.reports.sections.verdicts.choices import choose_model
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.transfer import compare_transfer
from nextrung.schemas.models import Model
from nextrung.schemas.repeats import (
    BestModel,
    ModelDifference,
    ModelRepeats,
    RepeatErrors,
    Spread,
)

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyResults

TRANSFERRED = Model.RESIDUAL_ATOM_REFS

#: Energies of the first repeat: transfer has a quarter of the error.
FIRST = {Model.SCRATCH: {"energy": 0.06}, TRANSFERRED: {"energy": 0.015}}


def repeat(
    results: StudyResults,
    low: float,
    high: float,
    n_repeats: int = 3,
    *,
    significant: bool = True,
) -> StudyResults:
    """Give transfer 30 and scratch 60 meV/atom over repeats, with this interval."""
    repeats = {
        model: ModelRepeats(
            repeats=[RepeatErrors(seed=0, split=0, test={}, val={})] * n_repeats,
            spread={
                "energy": Spread(
                    n_repeats=n_repeats,
                    mean=mean,
                    std=0.012,
                    std_seeds=None,
                    std_splits=None,
                )
            },
        )
        for model, mean in ((Model.SCRATCH, 0.06), (TRANSFERRED, 0.03))
    }
    difference = ModelDifference(
        property="energy",
        model=TRANSFERRED,
        reference=Model.SCRATCH,
        difference=-0.03,
        low=low,
        high=high,
        p_value=0.01,
        p_adjusted=0.02 if significant else 0.2,
        significant=significant,
        n_materials=40,
        n_repeats=n_repeats,
    )
    best = BestModel(model=TRANSFERRED, val_error=0.03, test_error=0.03)
    changed = {
        "repeats": repeats,
        "differences": [difference],
        "best": {"energy": best},
    }
    return results.model_copy(update=changed)


def test_a_lead_that_other_seeds_do_not_have_is_not_claimed(
    results: StudyResults,
) -> None:
    """The first repeat shows a lead; over three repeats its interval holds zero."""
    documents = make_evaluations(FIRST)
    (alone,) = compare_transfer(read_evidence(documents))
    (repeated,) = compare_transfer(
        read_evidence(documents, repeat(results, -0.07, 0.01))
    )

    assert alone.helped
    assert not repeated.helped
    assert repeated.describe().startswith("energies: no difference shown (Residual")


def test_a_lead_over_all_repeats_is_claimed_in_both_directions(
    results: StudyResults,
) -> None:
    evidence = read_evidence(make_evaluations(FIRST), repeat(results, -0.045, -0.015))

    helped = evidence.compare("energy", TRANSFERRED, Model.SCRATCH)
    worse = evidence.compare("energy", Model.SCRATCH, TRANSFERRED)

    assert helped
    assert worse
    assert helped[:4] == pytest.approx((-0.03, -0.5, -0.75, -0.25))
    assert worse[:4] == pytest.approx((0.03, 1.0, 0.5, 1.5))
    assert helped.is_lower
    assert worse.is_higher


@pytest.mark.parametrize("n_repeats", [1, 3])
def test_a_lead_that_is_one_of_many_comparisons_is_not_claimed(
    results: StudyResults, n_repeats: int
) -> None:
    """Its interval leaves zero out; its p-value after Holm is 0.2."""
    changed = repeat(results, -0.045, -0.015, n_repeats, significant=False)
    evidence = read_evidence(make_evaluations(FIRST), changed)

    difference = evidence.compare("energy", TRANSFERRED, Model.SCRATCH)

    assert difference
    assert difference.high < 0
    assert not difference.is_lower
    assert not compare_transfer(evidence)[0].helped


def test_no_error_falls_by_more_than_all_of_it(results: StudyResults) -> None:
    changed = repeat(results, -0.09, -0.015)
    evidence = read_evidence(make_evaluations(FIRST), changed)

    difference = evidence.compare("energy", TRANSFERRED, Model.SCRATCH)

    assert difference
    assert difference.low == -1


def test_errors_over_repeats_are_quoted_with_their_spread(
    results: StudyResults,
) -> None:
    evidence = read_evidence(make_evaluations(FIRST), repeat(results, -0.045, -0.015))

    choice = choose_model(evidence, "energy")

    assert choice
    assert choice.model == TRANSFERRED
    assert choice.format_error() == "30.0 ±12.0 meV/atom over 3 repeats"


def test_one_repeat_rests_on_its_own_materials(results: StudyResults) -> None:
    documents = make_evaluations(FIRST)
    once = read_evidence(documents, repeat(results, -0.07, 0.01, n_repeats=1))

    assert once.differences == {}
    assert once.spreads == {}
    assert compare_transfer(once)[0].helped
