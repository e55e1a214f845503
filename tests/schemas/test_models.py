from __future__ import annotations

import re

import pytest
from pydantic import ValidationError
from tests.made_up_study import make_fine_tuning

from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.models import (
    RECIPES,
    FinishedPotential,
    Model,
    NamedRecipe,
    Recipe,
    Rereference,
    Trained,
    find_recipe,
    is_same_functional,
    name_potential,
)

NETWORK = {"pretrained": True, "rereference": "residual", "trained": "network"}

PAPER_METHODS = (
    Model.SCRATCH,
    Model.TRAINABLE_ATOM_REFS,
    Model.FROZEN_ATOM_REFS,
    Model.REFITTED_ATOM_REFS,
)


def test_every_model_has_its_own_recipe() -> None:
    assert set(RECIPES) == set(Model)
    assert len(set(RECIPES.values())) == len(Model)


def test_only_scratch_starts_without_the_weights_of_the_source() -> None:
    forgetful = {model for model, recipe in RECIPES.items() if not recipe.pretrained}

    assert forgetful == {Model.SCRATCH}


def test_only_method_2_trains_its_references() -> None:
    moving = {
        model
        for model, recipe in RECIPES.items()
        if recipe.trained is Trained.NETWORK_AND_ATOM_REFS
    }

    assert moving == {Model.TRAINABLE_ATOM_REFS}


def test_methods_1_and_4_of_the_paper_refit_the_references() -> None:
    refitted = [
        RECIPES[model].rereference is Rereference.REFIT for model in PAPER_METHODS
    ]

    assert refitted == [True, False, False, True]


@pytest.mark.parametrize(
    ("trained", "untrained"),
    [
        (Model.FROZEN_ATOM_REFS, Model.SOURCE),
        (Model.REFITTED_ATOM_REFS, Model.SOURCE_REFIT),
        (Model.RESIDUAL_ATOM_REFS, Model.SOURCE_RESIDUAL),
    ],
)
def test_a_zero_data_model_is_its_method_without_training(
    trained: Model, untrained: Model
) -> None:
    stopped = RECIPES[trained].model_copy(update={"trained": Trained.NOTHING})

    assert RECIPES[untrained] == stopped


def test_rows_of_the_table_have_no_other_choices_than_those_of_the_paper() -> None:
    further = {"adapter_rank": None, "anchor": None, "training_labels": "as_given"}
    for recipe in RECIPES.values():
        dumped = recipe.model_dump(mode="json")
        assert {key: dumped[key] for key in further} == further


def test_a_stored_recipe_without_the_further_choices_is_read() -> None:
    stored = {"pretrained": True, "rereference": "refit", "trained": "network"}

    assert Recipe.model_validate(stored) == RECIPES[Model.REFITTED_ATOM_REFS]


@pytest.mark.parametrize(
    "further",
    [
        {"trained": "readout"},
        {"trained": "last_block", "anchor": {"kind": "l2", "weight": 0.1}},
        {"trained": "adapters", "adapter_rank": 4},
        {"anchor": {"kind": "replay", "fraction": 0.5}},
        {"training_labels": "energies_source_forces"},
    ],
)
def test_a_recipe_of_further_choices_survives_json(further: dict[str, object]) -> None:
    recipe = NamedRecipe.model_validate(NETWORK | further | {"name": "row"})

    assert NamedRecipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert find_recipe(recipe) == Recipe.model_validate(NETWORK | further)


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (
            {"trained": "adapters"},
            "adapter_rank: expected a number with trained: adapters, got null",
        ),
        (
            {"adapter_rank": 4},
            "adapter_rank: expected null with trained: network, got 4",
        ),
        (
            {"trained": "nothing", "training_labels": "energies"},
            (
                "trained: expected a part of the network with an anchor or "
                "training_labels, got nothing"
            ),
        ),
        (
            {"trained": "nothing", "pretrained": False},
            "random weights, and nothing is trained",
        ),
        (
            {"pretrained": False, "trained": "readout"},
            "trained: expected network with random weights, got readout",
        ),
        (
            {"pretrained": False, "anchor": {"kind": "l2", "weight": 1.0}},
            "anchor: expected null with random weights, got l2",
        ),
        (
            {"pretrained": False, "training_labels": "energies_source_forces"},
            "training_labels: expected as_given or energies with random weights",
        ),
        ({"anchor": {"kind": "l2", "weight": 0.0}}, "greater than 0"),
        ({"anchor": {"kind": "replay", "fraction": 101}}, "less than or equal to 100"),
        ({"anchor": {"kind": "l2"}}, "Field required"),
        ({"anchor": {"kind": "ewc"}}, "expected tags: 'l2', 'replay'"),
    ],
)
def test_choices_that_exclude_each_other_are_refused(
    further: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Recipe.model_validate(NETWORK | further)


@pytest.mark.parametrize(
    ("potential", "name"),
    [
        ("chgnet-r2scan", "chgnet-r2scan"),
        ("sevennet-mf-0/R2SCAN", "sevennet-mf-0_R2SCAN"),
        ("/data/my models/tuned.v2.pth.tar", "tuned.v2"),
        ("tuned.pth.tar", "tuned"),
        ("$NEXTRUNG_DATA/big.model", "big"),
        ("mace:/data/big.model", "mace_big"),
        ("ase:my.module:factory", "ase_my.module_factory"),
        ("///", "potential"),
    ],
)
def test_a_finished_potential_has_a_name_for_files(potential: str, name: str) -> None:
    assert name_potential(potential) == name


@pytest.mark.parametrize("other", ["r2SCAN", "R2SCAN", "r²SCAN", "r2-scan", "R2 SCAN"])
def test_spellings_of_a_functional_are_the_same(other: str) -> None:
    assert is_same_functional("r2SCAN", other)


@pytest.mark.parametrize("other", ["SCAN", "PBE", "unknown functional", ""])
def test_other_functionals_are_not_the_same(other: str) -> None:
    assert not is_same_functional("r2SCAN", other)


@pytest.mark.parametrize("same_functional", [True, False])
def test_energies_of_another_functional_are_not_compared(
    *, same_functional: bool
) -> None:
    finished = FinishedPotential(
        potential="a", functional="b", same_functional=same_functional
    )
    energies = ("energy", "decomposition_energy", "formation_energy")

    assert {finished.is_compared(column) for column in energies} == {same_functional}
    assert finished.is_compared("forces")
    assert finished.is_compared("density")


def test_the_document_of_a_finished_potential_survives_json() -> None:
    document = make_fine_tuning("sevennet-mf-0_R2SCAN", 0.02)
    stored = document.model_dump(mode="json")

    assert FineTuningDoc.model_validate(stored) == document
    assert stored["model"] == "sevennet-mf-0_R2SCAN"


@pytest.mark.parametrize("name", ["a/b", "../up", "", "-a", "a b"])
def test_the_name_of_a_model_is_safe_in_file_names(name: str) -> None:
    stored = make_fine_tuning("source", 1.0).model_dump(mode="json")

    with pytest.raises(ValidationError, match="String should match pattern"):
        FineTuningDoc.model_validate(stored | {"model": name})
