from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.made_up_study import make_fine_tuning

from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.models import (
    RECIPES,
    FinishedPotential,
    Model,
    Rereference,
    Trained,
    is_same_functional,
    name_potential,
)

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
