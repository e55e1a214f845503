"""Signs of failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import replace_models

from nextrung.reports.sections.verdicts.failure_signs import (
    compare_errors,
    find_failure_signs,
    find_worse_than_scratch,
    format_change,
    read_test_errors,
)
from nextrung.schemas.evaluation import PropertyErrors
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyDoc, StudyResults


@pytest.fixture
def results(study: StudyDoc) -> StudyResults:
    return study.results


def test_negative_transfer_is_a_sign_with_its_size(results: StudyResults) -> None:
    scored = replace_models(
        results,
        {
            Model.SCRATCH: (0.02, 1.0, 1.0),
            Model.FROZEN_ATOM_REFS: (0.01, 1.2, 0.9),
            Model.REFITTED_ATOM_REFS: (0.01, 0.9, 0.9),
        },
    )
    (sign,) = find_failure_signs(scored)
    assert sign.startswith("Negative transfer")
    assert "3 · Frozen atom refs" in sign
    assert "forces" in sign
    assert "20" in sign
    assert "4 · Refitted" not in sign


def test_isolated_atoms_and_missing_error_cancellation_are_signs(
    results: StudyResults,
) -> None:
    signs = find_failure_signs(results)
    isolated = [sign for sign in signs if sign.startswith("Isolated atoms")]
    hulls = [sign for sign in signs if sign.startswith("No error cancellation")]
    assert "1 · From scratch" in " ".join(isolated)
    assert "4 · Refitted atom refs" not in " ".join(isolated)
    assert "4 · Refitted atom refs" in " ".join(hulls)


def test_a_weak_correlation_is_a_sign(results: StudyResults) -> None:
    assert results.alignment is not None
    weak = results.alignment.model_copy(update={"correlation_referenced": 0.5})
    signs = find_failure_signs(results.model_copy(update={"alignment": weak}))
    assert any(sign.startswith("Weak correlation: 0.50") for sign in signs)
    assert not any("Weak" in sign for sign in find_failure_signs(results))


def test_changes_are_relative_to_the_other_model() -> None:
    mine = PropertyErrors(n_frames=1, n_failed=0, energy_mae=0.5, forces_mae=3.0)
    other = PropertyErrors(n_frames=1, n_failed=0, energy_mae=1.0, stress_mae=1.0)
    assert compare_errors(mine, other) == {"energies": -0.5}
    assert [format_change(change) for change in (-0.5, 0.25)] == [
        "\N{MINUS SIGN}50 %",
        "+25 %",
    ]


def test_without_training_from_scratch_no_model_is_worse(
    results: StudyResults,
) -> None:
    errors = read_test_errors(results)
    del errors[Model.SCRATCH]
    assert find_worse_than_scratch(errors) == {}


def test_one_way_of_rereferencing_that_correlates_is_enough(
    results: StudyResults,
) -> None:
    assert results.alignment
    ways = {"correlation_referenced": 0.3, "correlation_residual": 0.99}
    aligned = results.alignment.model_copy(update=ways)
    signs = find_failure_signs(results.model_copy(update={"alignment": aligned}))
    assert not any(sign.startswith("Weak correlation") for sign in signs)
