"""Recipes of a study with MACE, through the same stage as CHGNet."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nextrung.potentials.atom_refs import move_atom_refs, prepare_start
from nextrung.potentials.mace.loading import load_mace
from nextrung.potentials.mace.package import import_mace
from nextrung.potentials.potential import Potential
from nextrung.potentials.registry import load_potential
from nextrung.potentials.training.fine_tuning import FineTuningResult, fine_tune
from nextrung.schemas.fine_tuning import FineTuningSettings, Precision
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import RECIPES, Model, Recipe, Trained

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nextrung.potentials.mace.backend import MaceBackend

TRAINED: dict[Model, Recipe] = {
    Model(model): recipe
    for model, recipe in RECIPES.items()
    if recipe.trained is not Trained.NOTHING
}
SHORT = FineTuningSettings(
    epochs=2,
    batch_size=6,
    learning_rate=0.01,
    final_learning_rate=1e-3,
    gradient_points=2,
)


@pytest.fixture(scope="module")
def source(
    build: Callable[..., torch.nn.Module], tmp_path_factory: pytest.TempPathFactory
) -> Potential:
    """A small model of random weights, whose references are random too."""
    irreps = import_mace("e3nn.o3").Irreps
    path = tmp_path_factory.mktemp("mace") / "small.model"
    model = build(
        hidden_irreps=irreps("8x0e+8x1o"),
        MLP_irreps=irreps("8x0e"),
        max_ell=1,
        num_bessel=6,
        r_max=4.0,
        radial_MLP=[16, 16],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(model, path)
    loaded = load_mace(f"mace:{path}", "cpu")
    return Potential(loaded.backend, "mace", loaded.elements)


@pytest.fixture(scope="module")
def frames(mace: None) -> Frames:  # noqa: ARG001
    """42 rattled, strained frames of seven crystals, labelled by CHGNet's r²SCAN model.

    They determine the references of their seven elements. The fourth frame of each
    crystal is for validation.
    """
    rng = np.random.default_rng(0)
    rock_salts = [
        ("Li", "F", 4.0),
        ("Na", "Cl", 5.6),
        ("Mg", "O", 4.2),
        ("Ni", "O", 4.2),
        ("Li", "Cl", 5.1),
    ]
    crystals = [
        Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(edge), species, [[0, 0, 0], [0.5, 0.5, 0.5]]
        ).get_primitive_structure()
        for *species, edge in rock_salts
    ]
    for species, edge in (("Li", 4.3), ("Ni", 3.5)):
        metal = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(edge), [species], [[0, 0, 0]]
        )
        crystals.append(metal.get_primitive_structure() * (1, 1, 2))
    structures = []
    for index in range(42):
        structure = crystals[index % 7].copy()
        structure.apply_strain(rng.normal(0, 0.03, 3))
        structures.append(structure.perturb(0.08, seed=index))
    names = [f"frame-{index}" for index in range(42)]
    frames = Frames.from_structures(structures, names, functional="r2SCAN")
    labelled, errors = load_potential("chgnet-r2scan", "cpu").predict_frames(frames)
    assert errors == {}
    splits = ["val" if index // 7 % 4 == 3 else "train" for index in range(42)]
    return labelled.with_splits(np.array(splits))


def start(source: Potential, frames: Frames, recipe: Recipe) -> Potential:
    """Build the initial potential of a recipe."""
    _, atom_refs = move_atom_refs(source, frames, recipe.rereference)
    return prepare_start(source, recipe, atom_refs, seed=1)


def measure_error(potential: Potential, frames: Frames) -> float:
    """Compute the mean absolute energy error in validation, in eV/atom."""
    val = frames.split("val")
    predicted, errors = potential.predict_frames(val, "e")
    assert errors == {}
    return float(np.mean(np.abs(predicted.energies - val.energies) / val.n_atoms))


def network_of(potential: Potential) -> MaceBackend:
    """Return the model of a potential."""
    backend: MaceBackend = potential.backend  # type: ignore[assignment]
    return backend


def test_random_weights_learn_a_distilled_set(
    source: Potential, frames: Frames, tmp_path: Path
) -> None:
    """By the recipe of training from scratch: the energy error falls tenfold.

    References fitted to the labels come first, so that this is what the network learns.
    """
    recipe = RECIPES[Model.SCRATCH]
    untrained = start(source, frames, recipe)
    settings = SHORT.model_copy(
        update={"epochs": 30, "learning_rate": 0.02, "final_learning_rate": 2e-4}
    )

    result = fine_tune(untrained, frames, settings, recipe=recipe, workdir=tmp_path)

    before = measure_error(untrained, frames)
    assert before < measure_error(source, frames) / 10
    assert measure_error(result.potential, frames) < before / 10


@pytest.fixture(scope="module")
def results(
    source: Potential, frames: Frames, tmp_path_factory: pytest.TempPathFactory
) -> dict[Model, FineTuningResult]:
    """A short training by every recipe."""
    folder = tmp_path_factory.mktemp("recipes")
    return {
        model: fine_tune(
            start(source, frames, recipe),
            frames,
            SHORT,
            recipe=recipe,
            workdir=folder / model,
        )
        for model, recipe in TRAINED.items()
    }


def test_every_recipe_reduces_the_loss(
    results: dict[Model, FineTuningResult],
) -> None:
    for result in results.values():
        first, last = result.history
        assert last.train.loss < first.train.loss
        assert last.val.magmoms_mae is None  # which MACE does not predict
        assert last.val.stress_mae is not None
        assert result.unusable == {}


def test_references_move_where_the_recipe_trains_them(
    results: dict[Model, FineTuningResult], source: Potential, frames: Frames
) -> None:
    """They stay in float64; those of elements without frames are left out."""
    for model, recipe in TRAINED.items():
        before = start(source, frames, recipe).atom_refs
        after = results[model].potential.atom_refs
        moved = {symbol for symbol in after if after[symbol] != before[symbol]}
        trained = recipe.trained is Trained.NETWORK_AND_ATOM_REFS

        assert set(after) == {"Li", "F", "Na", "Cl", "Mg", "O", "Ni"}
        assert moved == (set(after) if trained else set())


def test_gradients_of_the_tracked_layers_are_recorded(
    results: dict[Model, FineTuningResult], source: Potential
) -> None:
    tracked = set(network_of(source).tracked_layers)

    for result in results.values():
        assert {record.layer for record in result.gradients} == tracked
        assert all(record.norm > 0 for record in result.gradients)


@pytest.mark.usefixtures("unsafe_load")
def test_a_trained_model_predicts_the_same_in_plain_mace(
    results: dict[Model, FineTuningResult], frames: Frames, tmp_path: Path
) -> None:
    structures = frames.split("val").to_structures()
    for model in (Model.TRAINABLE_ATOM_REFS, Model.RESIDUAL_ATOM_REFS):
        tuned = results[model].potential
        path = tmp_path / f"{model}.model"
        tuned.save(path, note="trained")
        calculator = import_mace("mace.calculators").MACECalculator(
            str(path), device="cpu", default_dtype="float32"
        )
        again = load_mace(str(path), "cpu")

        assert again.metadata["note"] == "trained"
        assert again.elements == tuned.elements
        for structure, prediction in zip(
            structures, tuned.predict(structures), strict=True
        ):
            atoms = structure.to_ase_atoms()
            assert prediction.energy is not None
            assert prediction.forces is not None
            difference = prediction.energy - calculator.get_potential_energy(atoms)
            assert abs(difference) / len(atoms) < 1e-5
            np.testing.assert_allclose(
                prediction.forces, calculator.get_forces(atoms), atol=1e-4
            )


@pytest.mark.usefixtures("unsafe_load")
@pytest.mark.parametrize(
    "choices",
    [
        {"trained": "readout"},
        {"trained": "last_block"},
        {"trained": "adapters", "adapter_rank": 2},
    ],
    ids=["readout", "last_block", "adapters"],
)
def test_a_part_is_trained_and_mace_reproduces_its_checkpoint(
    choices: dict[str, object], source: Potential, frames: Frames, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate(
        TRAINED[Model.RESIDUAL_ATOM_REFS].model_dump() | choices
    )

    started = start(source, frames, recipe)
    structures = frames.split("val").to_structures()
    before = started.predict(structures)

    result = fine_tune(started, frames, SHORT, recipe=recipe, workdir=tmp_path)

    path = tmp_path / "tuned.model"
    result.potential.save(path)
    calculator = import_mace("mace.calculators").MACECalculator(
        str(path), device="cpu", default_dtype="float32"
    )
    predictions = result.potential.predict(structures)
    for structure, old, prediction in zip(structures, before, predictions, strict=True):
        assert old.forces is not None
        assert prediction.energy is not None
        assert prediction.forces is not None
        assert not np.allclose(prediction.forces, old.forces, rtol=1e-3, atol=0)
        expected = calculator.get_potential_energy(structure.to_ase_atoms())
        assert abs(prediction.energy - expected) / len(structure) < 1e-5


def test_adapters_are_on_equivariant_and_dense_linear_maps(source: Potential) -> None:
    backend = network_of(source)
    named = dict(backend.module.named_parameters())

    maps = backend.linear_maps()

    for name, shapes in maps.items():
        assert sum(m * n for m, n in shapes) == named[name].numel()
    assert len(maps["interactions.1.linear.weight"]) == 4
    assert len(maps["interactions.0.conv_tp_weights.layer0.weight"]) == 1
    assert "readouts.0.linear.weight" in maps
    assert not any("contraction" in name for name in maps)


def test_the_same_seed_gives_the_same_bits(
    results: dict[Model, FineTuningResult],
    source: Potential,
    frames: Frames,
    tmp_path: Path,
) -> None:
    model = Model.TRAINABLE_ATOM_REFS
    recipe = RECIPES[model]

    again = fine_tune(
        start(source, frames, recipe),
        frames,
        SHORT,
        recipe=recipe,
        workdir=tmp_path,
    )

    first, second = (
        network_of(result.potential).module.state_dict()
        for result in (results[model], again)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_in_double_precision_ends_in_single(
    source: Potential, frames: Frames, tmp_path: Path
) -> None:
    settings = SHORT.model_copy(update={"epochs": 1, "precision": Precision.FLOAT64})

    result = fine_tune(
        source,
        frames,
        settings,
        recipe=RECIPES[Model.FROZEN_ATOM_REFS],
        workdir=tmp_path,
    )

    assert network_of(result.potential).dtype == torch.float32
    assert result.history[0].train.loss > 0
