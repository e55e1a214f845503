"""Signs of failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.made_up_study import make_hulls
from tests.reports.sections.verdicts.made_up_evidence import NOTHING, evaluate

from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.failure_signs import (
    find_failure_signs,
    find_unfit,
    find_worse_than_baseline,
    find_worse_than_scratch,
)
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyResults


def test_negative_transfer_is_a_sign_with_its_size_and_interval(
    results: StudyResults,
) -> None:
    evidence = evaluate(
        scratch={"forces": 0.04},
        frozen_atom_refs={"forces": 0.048},
        refitted_atom_refs={"forces": 0.03},
    )
    (sign,) = (
        sign
        for sign in find_failure_signs(results, {}, evidence)
        if sign.startswith("Negative transfer")
    )
    assert "3 · Frozen atom refs (forces +" in sign
    assert " % (+" in sign
    assert "4 · Refitted" not in sign


def test_a_difference_within_its_interval_is_no_negative_transfer() -> None:
    evidence = evaluate(scratch={"forces": 0.04}, frozen_atom_refs={"forces": 0.0401})
    assert find_worse_than_scratch(evidence) == {}


def test_there_is_no_negative_transfer_where_scratch_has_learned_nothing() -> None:
    """Scratch predicts about zero, 72.1 against 68.1 meV/Å for zero forces."""
    evidence = evaluate(
        scratch={"forces": 0.0721}, residual_atom_refs={"forces": 0.1038}
    )
    assert find_worse_than_scratch(evidence) == {}
    worse = find_worse_than_baseline(evidence)
    assert worse[Model.RESIDUAL_ATOM_REFS][0].startswith("zero forces +4")
    assert Model.RESIDUAL_ATOM_REFS in find_unfit(evidence)


def test_a_model_better_than_zero_is_not_worse_than_the_baseline(
    results: StudyResults,
) -> None:
    evidence = evaluate(scratch={"energy": 0.1, "forces": 0.03, "stress": 0.1})
    assert find_worse_than_baseline(evidence) == {}
    signs = find_failure_signs(results, {}, evidence)
    assert not any(sign.startswith("Worse than the baseline") for sign in signs)


def test_isolated_atoms_are_a_sign(
    results: StudyResults, documents: Mapping[str, TaskDoc]
) -> None:
    signs = find_failure_signs(results, documents, NOTHING)
    (isolated,) = (sign for sign in signs if sign.startswith("Isolated atoms"))
    assert "1 · From scratch" in isolated
    assert "4 · Refitted atom refs" not in isolated


def test_larger_errors_of_decomposition_than_of_formation_are_a_sign(
    results: StudyResults,
) -> None:
    evidence = read_evidence(
        make_hulls({Model.SCRATCH: (0.06, 0.04), Model.SOURCE: (0.03, 0.04)})
    )
    (sign,) = (
        sign
        for sign in find_failure_signs(results, {}, evidence)
        if sign.startswith("No error cancellation")
    )
    assert "1 · From scratch (" in sign
    assert "meV/atom, +" in sign
    assert "Source" not in sign


def test_a_hundredth_more_error_is_no_missing_cancellation(
    results: StudyResults,
) -> None:
    """107.3 against 106.5 meV/atom: less than the interval of the difference."""
    evidence = read_evidence(make_hulls({Model.SCRATCH: (0.1073, 0.1065)}))
    decomposition, formation = (
        evidence.comparison(key).average(Model.SCRATCH)
        for key in ("decomposition_energy", "formation_energy")
    )
    assert decomposition > formation

    signs = find_failure_signs(results, {}, evidence)

    assert not any(sign.startswith("No error cancellation") for sign in signs)


def test_a_weak_correlation_is_a_sign(results: StudyResults) -> None:
    assert results.alignment is not None
    weak = results.alignment.model_copy(update={"correlation_referenced": 0.5})
    shown = results.model_copy(update={"alignment": weak})
    signs = find_failure_signs(shown, {}, NOTHING)
    assert any(sign.startswith("Weak correlation: 0.50") for sign in signs)
    assert not any("Weak" in sign for sign in find_failure_signs(results, {}, NOTHING))


def test_one_way_of_rereferencing_that_correlates_is_enough(
    results: StudyResults,
) -> None:
    assert results.alignment
    ways = {"correlation_referenced": 0.3, "correlation_residual": 0.99}
    aligned = results.alignment.model_copy(update=ways)
    shown = results.model_copy(update={"alignment": aligned})
    signs = find_failure_signs(shown, {}, NOTHING)
    assert not any(sign.startswith("Weak correlation") for sign in signs)
