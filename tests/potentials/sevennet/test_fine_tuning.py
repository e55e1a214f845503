from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor
from tests.potentials.sevennet.models import write_model
from tests.potentials.sevennet.predictions import check_equal, predict

from nextrung.potentials.atom_refs import move_atom_refs, prepare_start
from nextrung.potentials.potential import Potential
from nextrung.potentials.sevennet.backend import SevenNetBackend
from nextrung.potentials.sevennet.loading import load_sevennet
from nextrung.potentials.training.fine_tuning import fine_tune
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import RECIPES, Model, Recipe, Trained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator

SETTINGS = FineTuningSettings(epochs=6, batch_size=6, gradient_points=1)


@pytest.fixture(scope="module")
def potentials(
    sevenn: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Potential, Potential]:
    """A source and a target: two small models of other weights and references."""
    folder = tmp_path_factory.mktemp("models")
    loaded = []
    for seed in (0, 1):
        path = folder / f"{seed}.pth"
        write_model(path, seed, self_connection_type="linear")
        model = load_sevennet(str(path), "cpu")
        loaded.append(Potential(model.backend, str(path), model.elements))
    return loaded[0], loaded[1]


@pytest.fixture(scope="module")
def frames(potentials: tuple[Potential, Potential], crystals: list[Atoms]) -> Frames:
    """Twelve crystals with the labels of the target."""
    structures = []
    for seed in (0, 1):
        for atoms in crystals:
            moved = atoms.copy()
            moved.rattle(0.1 * seed, seed=seed)
            structures.append(AseAtomsAdaptor.get_structure(moved))
    names = [str(index) for index in range(len(structures))]
    frames = Frames.from_structures(structures, names, functional="r2SCAN")
    labelled, errors = potentials[1].predict_frames(frames)
    assert not errors
    return labelled.with_splits(np.array(["train"] * 6 + ["val"] * 6))


@pytest.mark.filterwarnings("ignore:6 frames do not determine")
@pytest.mark.parametrize(
    "model", [m for m in RECIPES if RECIPES[m].trained is not Trained.NOTHING]
)
def test_every_recipe_trains_and_sevenn_reproduces_its_checkpoint(
    model: Model,
    potentials: tuple[Potential, Potential],
    frames: Frames,
    crystals: Sequence[Atoms],
    calculate: Callable[[str], Calculator],
    tmp_path: Path,
) -> None:
    recipe = RECIPES[model]
    source, _ = potentials
    _, atom_refs = move_atom_refs(source, frames, recipe.rereference)
    start = prepare_start(source, recipe, atom_refs, seed=0)

    result = fine_tune(start, frames, SETTINGS, recipe=recipe, workdir=tmp_path)

    losses = [epoch.train.loss for epoch in result.history]
    assert min(losses[1:]) < losses[0]
    layers = {record.layer for record in result.gradients}
    assert layers == set(start.backend.tracked_layers)  # type: ignore[attr-defined]
    moved = result.potential.atom_refs != start.atom_refs
    assert moved == (recipe.trained is Trained.NETWORK_AND_ATOM_REFS)
    path = tmp_path / "tuned.pth"
    result.potential.save(path)
    backend = result.potential.backend
    assert isinstance(backend, SevenNetBackend)
    check_equal(predict(backend, crystals), crystals, calculate(str(path)))


@pytest.mark.parametrize(
    "choices",
    [
        {"trained": "readout"},
        {"trained": "last_block"},
        {"trained": "adapters", "adapter_rank": 2},
    ],
    ids=["readout", "last_block", "adapters"],
)
def test_a_part_is_trained_and_sevenn_reproduces_its_checkpoint(
    choices: dict[str, object],
    potentials: tuple[Potential, Potential],
    frames: Frames,
    crystals: Sequence[Atoms],
    calculate: Callable[[str], Calculator],
    tmp_path: Path,
) -> None:
    network = RECIPES[Model.FROZEN_ATOM_REFS].model_dump()
    recipe = Recipe.model_validate(network | choices)
    source, _ = potentials

    result = fine_tune(source, frames, SETTINGS, recipe=recipe, workdir=tmp_path)

    losses = [epoch.train.loss for epoch in result.history]
    assert min(losses[1:]) < losses[0]
    path = tmp_path / "tuned.pth"
    result.potential.save(path)
    backend = result.potential.backend
    assert isinstance(backend, SevenNetBackend)
    check_equal(predict(backend, crystals), crystals, calculate(str(path)))


def test_adapters_are_on_every_linear_map(
    potentials: tuple[Potential, Potential],
) -> None:
    """Radial networks have dense layers, all others one matrix per representation."""
    backend = potentials[0].backend
    assert isinstance(backend, SevenNetBackend)
    named = dict(backend.module.named_parameters())

    maps = backend.linear_maps()

    assert set(maps) == {name for name in named if name.endswith(".weight")}
    for name, shapes in maps.items():
        assert sum(m * n for m, n in shapes) == named[name].numel()
    assert max(map(len, maps.values())) > 1
