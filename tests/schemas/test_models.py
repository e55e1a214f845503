from __future__ import annotations

import pytest

from nextrung.schemas.models import RECIPES, Model, Rereference, Trained

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
