"""Verdicts on transfer, property by property."""

from __future__ import annotations

from tests.made_up_study import make_evaluations, make_fine_tuning

from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.transfer import compare_transfer
from nextrung.schemas.models import RECIPES, Model

MINUS = "\N{MINUS SIGN}"


def describe(
    scratch: dict[str, float], transferred: dict[str, float], n: int = 40
) -> dict[str, str]:
    errors = {Model.SCRATCH: scratch, Model.RESIDUAL_ATOM_REFS: transferred}
    verdicts = compare_transfer(read_evidence(make_evaluations(errors, n_materials=n)))
    return {verdict.key: verdict.describe() for verdict in verdicts}


def test_transfer_is_judged_on_each_property_with_its_interval() -> None:
    found = describe(
        {"energy": 0.06, "forces": 0.04, "stress": 0.1},
        {"energy": 0.015, "forces": 0.06, "stress": 0.1001},
    )

    assert found["energy"].startswith(f"energies: helped (Residual atom refs, {MINUS}7")
    assert found["forces"].startswith("forces: worse than scratch (Residual")
    assert found["stress"].startswith("stresses: no difference shown")


def test_two_models_worse_than_zero_have_learned_nothing() -> None:
    """Zero stress is 0.26 GPa off: 0.3 is no success over 0.6."""
    found = describe({"stress": 0.6}, {"stress": 0.3})

    assert found["stress"] == "stresses: neither has learned them (zero stresses)"


def test_the_only_model_better_than_zero_is_named() -> None:
    assert describe({"forces": 0.04}, {"forces": 0.1})["forces"] == (
        "forces: only scratch is better than zero forces"
    )
    helped = describe({"forces": 0.072}, {"forces": 0.03})["forces"]
    assert helped.startswith("forces: helped (")
    assert helped.endswith("; scratch has not learned them)")


def test_a_handful_of_materials_gives_no_verdict() -> None:
    found = describe({"energy": 0.06}, {"energy": 0.01}, n=4)

    assert found["energy"] == "energies: too few test materials to compare"


def test_without_scratch_there_is_no_verdict() -> None:
    errors = {Model.RESIDUAL_ATOM_REFS: {"energy": 0.01}}

    assert compare_transfer(read_evidence(make_evaluations(errors))) == []


def test_a_recipe_of_the_study_is_transfer_if_it_starts_from_the_source() -> None:
    errors = {Model.SCRATCH: {"energy": 0.06}, "my_row": {"energy": 0.01}}
    documents = make_evaluations(errors)
    made = make_fine_tuning("my_row", 0.01)
    recipe = RECIPES[Model.FROZEN_ATOM_REFS]
    tuned = made.model_copy(update={"recipe": recipe})

    (verdict,) = compare_transfer(
        read_evidence(documents | {"fine_tuning/my_row": tuned})
    )

    assert verdict.model == "my_row"
    assert verdict.helped
    assert compare_transfer(read_evidence(documents)) == []
