"""Summary in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.made_up_study import make_hulls
from tests.reports.sections.verdicts.made_up_evidence import NOTHING, evaluate

from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.summary import (
    advise,
    describe_best_models,
    describe_transfer,
    summarise,
)
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyResults


def test_the_best_model_is_described_with_error_interval_and_lead() -> None:
    evidence = evaluate(
        scratch={"energy": 0.06},
        residual_atom_refs={"energy": 0.015},
        source={"energy": 2.3},
    )

    (text,) = describe_best_models(evidence)

    assert text.startswith(
        "Energies: Residual atom refs, chosen on validation, has a test error of 15."
    )
    assert "lower than every other model; than the next \N{MINUS SIGN}7" in text
    assert "baseline" not in text


def test_models_that_no_difference_is_shown_between_are_named() -> None:
    evidence = evaluate(
        scratch={"energy": 0.06},
        frozen_atom_refs={"energy": 0.01501},
        residual_atom_refs={"energy": 0.015},
    )

    (text,) = describe_best_models(evidence)

    assert "no difference shown from" in text
    assert "lower than every other" not in text


def test_the_best_of_models_worse_than_zero_is_not_praised() -> None:
    evidence = evaluate(scratch={"stress": 0.5}, residual_atom_refs={"stress": 0.3})

    (text,) = describe_best_models(evidence)

    assert text.endswith("not shown to be better than the baseline.")


def test_the_untouched_source_is_named_where_it_is_best() -> None:
    hulls = make_hulls(
        {Model.SOURCE: (0.029, 0.3), Model.REFITTED_ATOM_REFS: (0.038, 0.04)}
    )

    texts = describe_best_models(read_evidence(hulls))

    assert texts[0].startswith("Decomposition energies: Source, untouched, chosen on")


def test_transfer_is_described_only_against_scratch() -> None:
    assert describe_transfer(evaluate(frozen_atom_refs={"energy": 0.1})) == []
    (text,) = describe_transfer(
        evaluate(scratch={"energy": 0.06}, frozen_atom_refs={"energy": 0.01})
    )
    assert "energies: helped (3 · Frozen atom refs, \N{MINUS SIGN}8" in text


def test_a_small_test_split_is_mentioned(results: StudyResults) -> None:
    assert any("only 3 materials" in text for text in summarise(results, NOTHING))


def test_errors_without_elements_are_given_where_they_are_larger(
    results: StudyResults,
) -> None:
    summary = results.models[Model.SCRATCH]
    assert summary.stability is not None
    hull = summary.stability.model_copy(
        update={
            "decomposition_energy_mae": 0.0291,
            "decomposition_energy_mae_compounds": 0.0388,
        }
    )
    models = {Model.SCRATCH: summary.model_copy(update={"stability": hull})}
    texts = summarise(results.model_copy(update={"models": models}), NOTHING)

    assert any("1 · From scratch 38.8 instead of 29.1" in text for text in texts)
    assert not any("elements, whose" in text for text in summarise(results, NOTHING))


def test_without_scores_there_is_no_advice(results: StudyResults) -> None:
    empty = results.model_copy(
        update={
            "models": {},
            "alignment": None,
            "scaling_law": None,
            "dataset": results.dataset.model_copy(update={"n_materials_by_split": {}}),
        }
    )
    assert summarise(empty, NOTHING) == ["No model was scored on the test split."]
    assert advise(empty, NOTHING) == []


def test_without_a_scaling_law_it_is_recommended(results: StudyResults) -> None:
    evidence = evaluate(scratch={"energy": 0.06})
    advice = advise(results.model_copy(update={"scaling_law": None}), evidence)
    assert any(text.startswith("Run the scaling law to learn") for text in advice)


def test_advice_names_the_checkpoint_and_the_sizes(results: StudyResults) -> None:
    evidence = evaluate(scratch={"energy": 0.6}, residual_atom_refs={"energy": 0.01})
    advice = " ".join(advise(results, evidence))
    assert "models/residual_atom_refs.pth.tar of the run folder" in advice
    assert "For 10 meV/atom with 4 · Refitted atom refs: about 4,642" in advice


def test_no_checkpoint_is_recommended_that_is_worse_than_the_baseline(
    results: StudyResults,
) -> None:
    evidence = evaluate(scratch={"energy": 0.6}, residual_atom_refs={"energy": 0.4})
    assert not any("pth.tar" in text for text in advise(results, evidence))


def test_negative_transfer_with_kept_references_asks_to_move_them(
    results: StudyResults,
) -> None:
    evidence = evaluate(
        scratch={"forces": 0.04},
        frozen_atom_refs={"forces": 0.06},
        refitted_atom_refs={"forces": 0.03},
    )
    assert (
        "Do not relax or run dynamics with 3 · Frozen atom refs; move their atomic "
        "references to the target functional first."
    ) in advise(results, evidence)


def test_models_worse_than_zero_forces_ask_for_more_training(
    results: StudyResults,
) -> None:
    """Residual refs: 103.8 against 68.1 meV/Å for zero, as on oxides and fluorides."""
    evidence = evaluate(scratch={"forces": 0.06}, residual_atom_refs={"forces": 0.1038})
    assert (
        "Do not relax or run dynamics with Residual atom refs; train them longer or on "
        "more frames first."
    ) in advise(results, evidence)


def test_both_ways_of_rereferencing_are_described(results: StudyResults) -> None:
    assert results.alignment
    both = results.alignment.model_copy(update={"correlation_residual": 0.991})
    shown = results.model_copy(update={"alignment": both})
    summary = " ".join(summarise(shown, NOTHING))
    assert "with refitted references, to 0.991 with shifted references." in summary
