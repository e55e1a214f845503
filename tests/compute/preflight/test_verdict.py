from __future__ import annotations

from nextrung.compute.preflight import reach_verdict
from nextrung.schemas.models import Model
from nextrung.schemas.preflight import Check, CheckOutcome, Verdict

REFITTED, RESIDUAL = Model.REFITTED_ATOM_REFS, Model.RESIDUAL_ATOM_REFS


def make_check(outcome: CheckOutcome, model: Model | None = None) -> Check:
    return Check(name="a check", model=model, outcome=outcome, finding=f"so {outcome}")


def test_a_go_names_the_models_that_it_is_for_and_those_that_it_is_not() -> None:
    checks = [
        make_check(CheckOutcome.PASSED),
        make_check(CheckOutcome.FAILED, REFITTED),
        make_check(CheckOutcome.PASSED, RESIDUAL),
    ]

    assert reach_verdict(checks, [REFITTED, RESIDUAL]) == (
        Verdict.GO,
        "for residual_atom_refs; not for refitted_atom_refs (failed: a check).",
        {REFITTED: Verdict.NO_GO, RESIDUAL: Verdict.GO},
    )


def test_a_study_whose_only_transferred_model_fails_is_a_no_go() -> None:
    checks = [make_check(CheckOutcome.FAILED, REFITTED)]

    verdict, reason, verdicts = reach_verdict(checks, [REFITTED])

    assert verdict is Verdict.NO_GO
    assert reason == "not for refitted_atom_refs (failed: a check)."
    assert verdicts == {REFITTED: Verdict.NO_GO}


def test_a_failed_check_of_the_data_is_a_no_go_for_every_model() -> None:
    checks = [
        make_check(CheckOutcome.FAILED),
        make_check(CheckOutcome.PASSED, RESIDUAL),
    ]

    verdict, reason, verdicts = reach_verdict(checks, [RESIDUAL])

    assert (verdict, reason) == (Verdict.NO_GO, "a check: so failed.")
    assert verdicts == {RESIDUAL: Verdict.NO_GO}


def test_warnings_of_the_data_and_of_good_models_are_named() -> None:
    checks = [
        make_check(CheckOutcome.WARNING),
        make_check(CheckOutcome.WARNING, RESIDUAL),
        make_check(CheckOutcome.WARNING, REFITTED),
        make_check(CheckOutcome.FAILED, REFITTED),
    ]

    verdict, reason, _ = reach_verdict(checks, [REFITTED, RESIDUAL])

    assert verdict is Verdict.GO
    assert "mind a check: so warning; a check of residual_atom_refs: so" in reason
    assert reason.count("so warning") == 2


def test_a_study_without_a_transferred_model_is_a_no_go() -> None:
    verdict, reason, verdicts = reach_verdict([make_check(CheckOutcome.PASSED)], [])

    assert (verdict, verdicts) == (Verdict.NO_GO, {})
    assert reason == "expected a transferred model in the study, got none."
