"""Bold numbers of Table 1."""

from __future__ import annotations

from tests.made_up_study import make_evaluations

from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.leaders import find_leaders
from nextrung.schemas.models import Model


def lead(n: int = 40, **errors: float) -> list[str] | None:
    models = {Model(model): {"stress": error} for model, error in errors.items()}
    evidence = read_evidence(make_evaluations(models, n_materials=n))
    return find_leaders(evidence, "stress")


def test_models_without_a_shown_difference_from_the_lowest_lead_with_it() -> None:
    leaders = lead(source=0.2, scratch=0.1001, residual_atom_refs=0.1)

    assert leaders is not None
    assert set(leaders) == {Model.SCRATCH, Model.RESIDUAL_ATOM_REFS}


def test_a_shown_lead_is_alone() -> None:
    assert lead(scratch=0.2, residual_atom_refs=0.1) == [Model.RESIDUAL_ATOM_REFS]


def test_a_model_not_shown_to_be_better_than_the_baseline_does_not_lead() -> None:
    assert lead(scratch=0.6, residual_atom_refs=0.4) == []
    assert lead(scratch=0.6, residual_atom_refs=0.2599) == []


def test_too_few_materials_have_no_leaders() -> None:
    assert lead(4, scratch=0.2, residual_atom_refs=0.1) is None
    assert find_leaders(read_evidence({}), "stress") is None
