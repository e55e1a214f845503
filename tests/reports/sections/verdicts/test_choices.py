"""Choice of a model on validation, and what its test error shows."""

from __future__ import annotations

import pytest
from tests.made_up_study import make_evaluations, make_hulls, tabulate

from nextrung.reports.sections.verdicts.choices import Choice, choose_model
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.schemas.models import Model


def choose_energy(
    test: dict[Model, float], val: dict[Model, float] | None = None, n: int = 40
) -> Choice:
    evaluations = make_evaluations(
        {model: {"energy": error} for model, error in test.items()},
        val_errors={model: {"energy": error} for model, error in (val or test).items()},
        n_materials=n,
    )
    choice = choose_model(read_evidence(evaluations), "energy")
    assert choice is not None
    return choice


def test_a_model_is_chosen_on_validation_and_its_test_error_is_quoted() -> None:
    """The test split prefers scratch: choosing there would be optimistic."""
    choice = choose_energy(
        {Model.SCRATCH: 0.04, Model.REFITTED_ATOM_REFS: 0.05},
        {Model.SCRATCH: 0.06, Model.REFITTED_ATOM_REFS: 0.05},
    )

    assert choice.model == Model.REFITTED_ATOM_REFS
    assert choice.error == pytest.approx(0.05, rel=0.1)
    text = choice.describe_certainty()
    assert text.startswith("on the test split 1 · From scratch is better: +2")


def test_a_shown_lead_is_named_with_its_interval() -> None:
    choice = choose_energy({Model.SCRATCH: 0.06, Model.REFITTED_ATOM_REFS: 0.02})

    text = choice.describe_certainty()
    assert text.startswith("lower than every other model; than the next")
    assert choice.interval is not None
    assert choice.interval[0] < choice.error < choice.interval[1]


def test_a_lead_of_less_than_its_interval_is_no_lead() -> None:
    choice = choose_energy({Model.SCRATCH: 0.0201, Model.REFITTED_ATOM_REFS: 0.02})

    assert choice.describe_certainty().startswith("no difference shown from")


def test_too_few_materials_show_no_difference() -> None:
    choice = choose_energy({Model.SCRATCH: 0.9, Model.REFITTED_ATOM_REFS: 0.1}, n=4)

    assert choice.describe_certainty() == "too few test materials to compare models"
    assert not choice.beats_baseline


def test_one_model_alone_is_not_called_the_best() -> None:
    choice = choose_energy({Model.SCRATCH: 0.9})

    assert choice.describe_certainty() == "no other model was scored"


def test_the_untouched_source_is_chosen_where_it_is_best() -> None:
    hulls = make_hulls(
        {Model.SOURCE: (0.029, 0.2), Model.REFITTED_ATOM_REFS: (0.038, 0.04)}
    )
    evidence = read_evidence(hulls)

    decomposition = choose_model(evidence, "decomposition_energy")
    formation = choose_model(evidence, "formation_energy")

    assert decomposition
    assert decomposition.model == Model.SOURCE
    assert decomposition.beats_baseline
    assert formation
    assert formation.model == Model.REFITTED_ATOM_REFS


def test_elements_do_not_count_in_hull_verdicts() -> None:
    hulls = make_hulls({Model.SCRATCH: (0.03, 0.2)})
    document = hulls[f"stability/{Model.SCRATCH}"]
    rows = document.rows.to_records()  # type: ignore[attr-defined]
    element = rows[0].model_copy(
        update={
            "material_id": "m-Li",
            "chemical_system": "Li",
            "target_decomposition_energy": 0.0,
            "predicted_decomposition_energy": 0.0,
        }
    )
    diluted = document.model_copy(update={"rows": tabulate([*rows, element])})

    for documents in (hulls, {f"stability/{Model.SCRATCH}": diluted}):
        evidence = read_evidence(documents)
        (errors,) = (
            evidence.comparison("decomposition_energy").models[Model.SCRATCH].values()
        )
        assert len(errors) == 40


def test_without_validation_errors_no_model_is_chosen() -> None:
    evidence = read_evidence({})

    assert choose_model(evidence, "energy") is None


def test_the_lowest_on_the_test_split_is_named_though_not_chosen() -> None:
    """Validation prefers the trained model; the source is lower by chance on test."""
    choice = choose_energy(
        {Model.SOURCE: 0.0499, Model.REFITTED_ATOM_REFS: 0.05},
        {Model.SOURCE: 0.06, Model.REFITTED_ATOM_REFS: 0.05},
    )

    assert choice.describe_certainty().startswith(
        "no difference shown from Source, untouched; relative to Source, untouched, "
        "which is lowest on the test split: +0 % (\N{MINUS SIGN}"
    )
