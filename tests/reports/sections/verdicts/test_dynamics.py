"""Whether a potential passed the tests that molecular dynamics needs."""

from __future__ import annotations

import pytest

from nextrung.reports.sections.verdicts.dynamics import NEEDED, find_failed_dynamics
from nextrung.schemas.physics import Measure, MeasureSummary, PhysicsCounts


def count(measure: Measure, n_passed: int, n_crystals: int = 2) -> MeasureSummary:
    return MeasureSummary(
        measure=measure,
        n_crystals=n_crystals,
        n_passed=n_passed,
        n_without_value=0,
        relative_error=None,
    )


def make_counts(*measures: MeasureSummary) -> PhysicsCounts:
    return PhysicsCounts(
        n_crystals=2, n_values=8, n_passed=8, n_without_value=0, measures=[*measures]
    )


def test_a_potential_that_passed_every_test_has_no_objection() -> None:
    passed = make_counts(*(count(measure, 2) for measure in NEEDED))

    assert find_failed_dynamics(passed) == []


@pytest.mark.parametrize("measure", NEEDED)
def test_one_crystal_that_failed_is_an_objection(measure: Measure) -> None:
    counts = make_counts(*(count(each, 1 if each is measure else 2) for each in NEEDED))

    (reason,) = find_failed_dynamics(counts)

    assert reason == f"{NEEDED[measure]} passed for 1 of 2 crystals"


def test_what_was_not_tested_is_an_objection() -> None:
    assert find_failed_dynamics(None) == [
        "no dynamics were run (physics in the study file)"
    ]
    drift = make_counts(count(Measure.ENERGY_DRIFT, 2))
    assert len(find_failed_dynamics(drift)) == len(NEEDED) - 1
    none = make_counts(*(count(measure, 0, 0) for measure in NEEDED))
    assert len(find_failed_dynamics(none)) == len(NEEDED)
