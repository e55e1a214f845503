"""Finished potentials against the models of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_evaluations, make_hulls

from nextrung.reports.sections.verdicts.choices import choose_model
from nextrung.reports.sections.verdicts.evidence import Evidence, read_evidence
from nextrung.reports.sections.verdicts.finished import (
    describe_finished,
    describe_unclear,
)
from nextrung.reports.sections.verdicts.leaders import find_leaders
from nextrung.reports.sections.verdicts.summary import advise, summarise
from nextrung.schemas.models import FinishedPotential

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyDoc, StudyResults

NAME = "sevennet-mf-0_R2SCAN"
MINUS = "\N{MINUS SIGN}"


def finish(results: StudyResults, *, same_functional: bool) -> StudyResults:
    """Name one finished potential in the results of a study."""
    finished = FinishedPotential(
        potential="sevennet-mf-0/R2SCAN",
        functional="r2SCAN" if same_functional else "PBE",
        same_functional=same_functional,
    )
    return results.model_copy(update={"finished": {NAME: finished}})


def evaluate(
    study: StudyDoc,
    finished: dict[str, float],
    *,
    n_materials: int = 40,
    same_functional: bool = True,
    **errors: dict[str, float],
) -> Evidence:
    """Read errors of models of the study and of one finished potential."""
    made = make_evaluations({**errors, NAME: finished}, n_materials=n_materials)
    return read_evidence(made, finish(study.results, same_functional=same_functional))


def test_a_finished_potential_that_beats_every_model_is_named_with_its_interval(
    study: StudyDoc,
) -> None:
    evidence = evaluate(
        study,
        {"forces": 0.02},
        scratch={"forces": 0.06},
        residual_atom_refs={"forces": 0.04},
    )

    (text,) = describe_finished(evidence)

    assert text.startswith(
        "Finished potential sevennet-mf-0/R2SCAN, not trained here: forces: better "
        f"than every model of the study; than the next, Residual atom refs, {MINUS}"
    )
    assert "% (" in text
    assert text in summarise(study.results, evidence)


def test_no_difference_is_claimed_where_none_is_shown(study: StudyDoc) -> None:
    evidence = evaluate(
        study,
        {"forces": 0.0399},
        scratch={"forces": 0.06},
        residual_atom_refs={"forces": 0.04},
    )

    (text,) = describe_finished(evidence)

    assert "forces: no difference shown from Residual atom refs, " in text
    assert "better" not in text


def test_an_interval_without_zero_that_the_adjustment_outweighs_is_explained(
    study: StudyDoc,
) -> None:
    evidence = evaluate(study, {"forces": 0.02}, residual_atom_refs={"forces": 0.04})
    found = evidence.compare("forces", NAME, "residual_atom_refs")
    assert found is not None

    unclear = found._replace(is_significant=False)

    assert "adjusted for the number of models" in describe_unclear(unclear)
    for wide in (found, unclear):
        with_zero = wide._replace(low=-0.9, high=0.4)
        assert describe_unclear(with_zero) == "no difference shown"


def test_a_finished_potential_that_is_worse_is_said_to_be(study: StudyDoc) -> None:
    evidence = evaluate(study, {"forces": 0.06}, residual_atom_refs={"forces": 0.02})

    (text,) = describe_finished(evidence)

    assert "forces: worse than Residual atom refs, +" in text


def test_better_than_all_is_not_claimed_where_one_model_is_as_good(
    study: StudyDoc,
) -> None:
    """The model chosen on validation may not be the best on the test split."""
    errors = {
        "scratch": {"forces": 0.0201},
        "residual_atom_refs": {"forces": 0.04},
        NAME: {"forces": 0.02},
    }
    val = errors | {"residual_atom_refs": {"forces": 0.001}}
    evidence = read_evidence(
        make_evaluations(errors, val_errors=val),
        finish(study.results, same_functional=True),
    )

    (text,) = describe_finished(evidence)

    assert "forces: better than Residual atom refs" in text
    assert "not shown to be better than 1 · From scratch" in text
    assert "every model" not in text


def test_too_few_materials_allow_no_claim(study: StudyDoc) -> None:
    evidence = evaluate(
        study,
        {"forces": 0.02},
        n_materials=4,
        residual_atom_refs={"forces": 0.04},
    )

    (text,) = describe_finished(evidence)

    assert text.endswith("forces: too few test materials to compare.")


def test_energies_of_another_functional_are_said_not_to_be_compared(
    study: StudyDoc,
) -> None:
    evidence = evaluate(
        study,
        {"energy": 0.001, "forces": 0.02},
        same_functional=False,
        residual_atom_refs={"energy": 0.04, "forces": 0.04},
    )

    (text,) = describe_finished(evidence)

    assert "energies: " not in text.partition(". ")[0]
    assert "forces: better" in text
    assert text.endswith(
        "Its functional, PBE, is not that of the labels: its energies are shown and "
        "not compared."
    )
    assert find_leaders(evidence, "energy") == ["residual_atom_refs"]


def test_hulls_of_another_functional_are_not_compared(study: StudyDoc) -> None:
    hulls = make_hulls({"residual_atom_refs": (0.04, 0.04), NAME: (0.001, 0.001)})
    evidence = read_evidence(hulls, finish(study.results, same_functional=False))

    assert evidence.models("decomposition_energy") == ["residual_atom_refs"]
    assert evidence.models("formation_energy") == ["residual_atom_refs"]


def test_a_finished_potential_is_never_chosen(study: StudyDoc) -> None:
    evidence = evaluate(study, {"forces": 0.01}, residual_atom_refs={"forces": 0.04})

    choice = choose_model(evidence, "forces")

    assert choice is not None
    assert choice.model == "residual_atom_refs"
    assert choice.describe_certainty() == (
        f"on the test split {NAME} is better: {choice.others[NAME].format()}"  # type: ignore[union-attr]
    )


def test_the_advice_on_an_unfit_finished_potential_is_another_model(
    study: StudyDoc,
) -> None:
    evidence = evaluate(study, {"forces": 0.2}, residual_atom_refs={"forces": 0.01})

    advice = advise(finish(study.results, same_functional=True), evidence)

    assert f"Do not relax or run dynamics with {NAME}; use another model." in advice


@pytest.mark.parametrize("same_functional", [True, False])
def test_a_study_without_scored_models_says_nothing_false(
    study: StudyDoc, *, same_functional: bool
) -> None:
    results = finish(study.results, same_functional=same_functional)

    texts = describe_finished(read_evidence({}, results))

    assert texts == [] if same_functional else len(texts) == 1
