from __future__ import annotations

import json
from typing import Any

import pytest
from chgnet.model import CHGNet
from monty.json import MontyDecoder, MontyEncoder

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_materials
from nextrung.makers.fine_tuning import (
    FineTuningMaker,
    ReReferenceMaker,
    SourceMaker,
    describe_epoch,
)
from nextrung.makers.jobs.models import open_potential
from nextrung.schemas.fine_tuning import EpochRecord, Errors
from nextrung.schemas.models import RECIPES, Model


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # chgnet
@pytest.mark.parametrize("model", ["scratch", "refitted_atom_refs", "source_residual"])
def test_plain_chgnet_predicts_what_the_checkpoint_does(
    documents: dict[str, Any], model: str
) -> None:
    made = documents[f"fine_tuning/{model}"]
    materials = read_materials(artifact_path(documents["dataset"].materials))
    structures = materials.initial.to_structures()[:4]

    plain = CHGNet.from_file(str(artifact_path(made.checkpoint)))
    expected = [
        float(plain.predict_structure(structure, task="ef")["e"])
        for structure in structures
    ]

    predicted = open_potential(made).predict(structures, "e")
    energies = [
        found.energy / len(structure)
        for found, structure in zip(predicted, structures, strict=True)
        if found.energy is not None
    ]
    assert energies == pytest.approx(expected, abs=1e-5)


def test_trained_models_have_a_history_and_gradients(
    documents: dict[str, Any],
) -> None:
    trained = documents["fine_tuning/scratch"]

    assert [epoch.epoch for epoch in trained.history] == [1]
    assert trained.best_epoch == 1
    assert len(trained.gradients) == 2 * 8


def test_untrained_models_have_none(documents: dict[str, Any]) -> None:
    untrained = documents["fine_tuning/source_residual"]

    assert (untrained.settings, untrained.history, untrained.best_epoch) == (
        None,
        [],
        None,
    )


def test_every_model_is_made_by_its_recipe(documents: dict[str, Any]) -> None:
    for part, made in documents.items():
        if part.startswith("fine_tuning/"):
            assert made.recipe == RECIPES[made.model]
            assert part.endswith(made.model)


def test_source_covers_more_elements_than_refitted_models(
    documents: dict[str, Any],
) -> None:
    assert set(documents["fine_tuning/scratch"].elements) == {"Mg", "O"}
    assert "Fe" in documents["fine_tuning/source"].elements


@pytest.mark.parametrize(
    "maker",
    [
        SourceMaker(potential="chgnet-r2scan"),
        ReReferenceMaker(model=Model.SOURCE_RESIDUAL),
        FineTuningMaker(model=Model.SCRATCH),
    ],
    ids=lambda maker: maker.name,
)
def test_models_of_makers_survive_json(maker: object) -> None:
    returned = json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder)

    assert returned == maker
    assert getattr(returned, "model", Model.SOURCE).__class__ is Model


def test_an_epoch_is_told_by_the_errors_that_there_are_labels_of() -> None:
    errors = Errors(
        energy_mae=0.0123, forces_mae=None, stress_mae=1.5, magmoms_mae=None, loss=1.0
    )
    epoch = EpochRecord(
        epoch=1, learning_rate=1e-3, train=errors, val=errors, wall_time=1.0
    )
    assert describe_epoch(epoch) == "E 12.3 meV/atom  S 1.5 GPa"
