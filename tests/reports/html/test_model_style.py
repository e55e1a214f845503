"""Titles and colours of models."""

from __future__ import annotations

import pytest

from nextrung.reports.html.model_style import (
    appearance,
    colour_dot,
    describe_recipe,
    in_order,
    model_cell,
    transfers,
)
from nextrung.schemas.models import RECIPES, Model, Recipe


def test_every_model_has_its_own_title_and_colour() -> None:
    looks = [appearance(model) for model in Model]
    assert len({look.title for look in looks}) == len(Model)
    assert len({look.colour for look in looks}) == len(Model)


def test_another_potential_keeps_its_name() -> None:
    assert appearance("chgnet-r2scan").title == "chgnet-r2scan"


def test_finished_potentials_have_colours_of_their_own() -> None:
    names = ("chgnet-0.3.0", "chgnet-r2scan", "sevennet-mf-0_R2SCAN")
    colours = {appearance(name).colour for name in names}

    assert len(colours) == len(names)
    assert not colours & {appearance(model).colour for model in Model}


def test_the_badge_of_a_potential_follows_its_title() -> None:
    cell = model_cell("chgnet-r2scan", "r2SCAN")
    assert [(span.get("class"), span.text) for span in cell][1:] == [
        ("badge", "r2SCAN")
    ]
    assert len(model_cell("chgnet-r2scan")) == 1


def test_models_are_in_the_order_of_the_paper_and_others_after_them() -> None:
    assert in_order(["zeta", "scratch", "alpha", "source"]) == [
        "source",
        "scratch",
        "alpha",
        "zeta",
    ]
    assert in_order(reversed(Model)) == list(Model)


def test_transfer_is_training_from_the_weights_of_the_source() -> None:
    assert {model for model in Model if transfers(model)} == {
        Model.TRAINABLE_ATOM_REFS,
        Model.FROZEN_ATOM_REFS,
        Model.REFITTED_ATOM_REFS,
        Model.RESIDUAL_ATOM_REFS,
    }
    assert not transfers("chgnet-r2scan")


def test_the_first_cell_of_a_row_shows_colour_and_title() -> None:
    cell = model_cell(Model.SCRATCH)
    assert (cell.tag, cell[0].tail) == ("th", "1 · From scratch")
    assert cell[0].attrib == colour_dot("#ee8434").attrib


@pytest.mark.parametrize(
    ("further", "text"),
    [
        ({}, "network"),
        ({"trained": "last_block"}, "last block"),
        ({"trained": "adapters", "adapter_rank": 4}, "adapters of rank 4"),
        (
            {"anchor": {"kind": "l2", "weight": 0.1}},
            "network, L2 anchor of weight 0.1",
        ),
        (
            {"anchor": {"kind": "replay", "fraction": 0.5, "weight": 2}},
            "network, 0.5 replayed structures per frame, of weight 2",
        ),
        (
            {"trained": "readout", "training_labels": "energies"},
            "readout, labels: energies",
        ),
        (
            {"training_labels": "energies_source_forces"},
            "network, labels: energies, and forces of the source",
        ),
    ],
)
def test_the_training_of_a_recipe_is_described(
    further: dict[str, object], text: str
) -> None:
    network = RECIPES[Model.RESIDUAL_ATOM_REFS].model_dump()

    assert describe_recipe(Recipe.model_validate(network | further)) == text
