from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from chgnet.model import CHGNet
from pymatgen.core import Lattice, Structure
from tests.potentials.networks import backend_of, network_of

from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.registry import load_potential
from nextrung.potentials.training import checkpoint
from nextrung.potentials.training.checkpoint import PREVIOUS_FILE
from nextrung.potentials.training.fine_tuning import (
    STATE_FILE,
    FineTuningResult,
    fine_tune,
)
from nextrung.potentials.training.module import FineTuningModule
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import (
    EpochRecord,
    FineTuningSettings,
    Precision,
)
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import RECIPES, Model, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nextrung.potentials.potential import Potential

SETTINGS = FineTuningSettings(epochs=3, batch_size=3, gradient_points=2)
LAST_EPOCH = SETTINGS.epochs
NETWORK = RECIPES[Model.FROZEN_ATOM_REFS]


class Killed(Exception):  # noqa: N818
    """Exception that interrupts a training."""


@pytest.fixture(scope="module")
def potential() -> Potential:
    return load_potential("chgnet-0.3.0", "cpu")


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Seven strained frames of LiF, NaCl and MgO, labelled by the r2SCAN model."""
    return label(make_structures(), ["train"] * 5 + ["val"] * 2)


def make_structures() -> list[Structure]:
    rng = np.random.default_rng(0)
    crystals = [("Li", "F", 4.0), ("Na", "Cl", 5.6), ("Mg", "O", 4.2)]
    structures = []
    for index in range(7):
        cation, anion, edge = crystals[index % 3]
        structure = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(edge), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]]
        ).get_primitive_structure()
        structure.apply_strain(rng.normal(0, 0.02, 3))
        structures.append(structure.perturb(0.05, seed=index))
    return structures


def label(structures: list[Structure], splits: list[str]) -> Frames:
    names = [f"frame-{index}" for index in range(len(structures))]
    frames = Frames.from_structures(structures, names, functional="r2SCAN")
    labelled, _ = load_potential("chgnet-r2scan", "cpu").predict_frames(frames)
    return labelled.with_splits(np.array(splits))


def tune(
    potential: Potential,
    frames: Frames,
    workdir: Path,
    *,
    settings: FineTuningSettings = SETTINGS,
    recipe: Recipe = NETWORK,
) -> FineTuningResult:
    return fine_tune(potential, frames, settings, recipe=recipe, workdir=workdir)


def weights_of(result: FineTuningResult) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = network_of(result.potential).state_dict()
    return weights


def assert_same(first: FineTuningResult, second: FineTuningResult) -> None:
    """Two trainings agree to the last bit, except for their wall times."""
    for a, b in zip(first.history, second.history, strict=True):
        assert a.model_copy(update={"wall_time": b.wall_time}) == b
    assert first.gradients == second.gradients
    assert first.best_epoch == second.best_epoch
    for name, weight in weights_of(first).items():
        assert torch.equal(weight, weights_of(second)[name]), name


@pytest.fixture(scope="module")
def result(
    potential: Potential, frames: Frames, tmp_path_factory: pytest.TempPathFactory
) -> FineTuningResult:
    """The uninterrupted training."""
    return tune(potential, frames, tmp_path_factory.mktemp("uninterrupted"))


def test_training_reduces_the_loss(result: FineTuningResult) -> None:
    losses = [record.train.loss for record in result.history]

    assert losses == sorted(losses, reverse=True)
    assert [record.epoch for record in result.history] == [1, 2, 3]


def test_the_last_learning_rate_is_that_of_the_settings(
    result: FineTuningResult,
) -> None:
    """There are two batches per epoch; chgnet's ten changes per epoch would not fit."""
    assert result.history[-1].learning_rate == pytest.approx(1e-5, rel=1e-9)


def test_the_same_seed_gives_the_same_bits(
    potential: Potential, frames: Frames, result: FineTuningResult, tmp_path: Path
) -> None:
    torch.manual_seed(12345)

    assert_same(tune(potential, frames, tmp_path), result)


def test_a_step_in_micro_batches_is_the_step_of_the_whole_batch(
    potential: Potential,
    frames: Frames,
    result: FineTuningResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = replace(ChgnetBackend.limits, training={"cpu": 1})
    monkeypatch.setattr(ChgnetBackend, "limits", limits)

    split = tune(potential, frames, tmp_path)

    for whole, record in zip(result.history, split.history, strict=True):
        assert record.train.loss == pytest.approx(whole.train.loss, rel=1e-4)
        assert record.val.energy_mae == pytest.approx(whole.val.energy_mae, rel=1e-4)
    norms = [[gradient.norm for gradient in r.gradients] for r in (result, split)]
    assert norms[1] == pytest.approx(norms[0], rel=1e-2)


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_resumed_training_equals_an_uninterrupted_one(
    killed_after: int,
    potential: Potential,
    frames: Frames,
    result: FineTuningResult,
    tmp_path: Path,
) -> None:
    def kill(record: EpochRecord) -> None:
        if record.epoch == killed_after:
            raise Killed

    resumed: list[int] = []
    for on_epoch in (kill, lambda record: resumed.append(record.epoch)):
        try:
            outcome = fine_tune(
                potential,
                frames,
                SETTINGS,
                recipe=NETWORK,
                workdir=tmp_path,
                on_epoch=on_epoch,
            )
        except Killed:
            continue

    assert resumed == list(range(killed_after + 1, LAST_EPOCH + 1))
    assert_same(outcome, result)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
@pytest.mark.parametrize("n_steps", [1, 3, 4])
def test_a_terminated_training_is_resumed_by_the_next_call(
    n_steps: int,
    signum: signal.Signals,
    potential: Potential,
    frames: Frames,
    result: FineTuningResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Epochs have two steps; no step is done twice."""

    def terminate(step: int) -> None:
        if step == n_steps:
            os.kill(os.getpid(), signum)

    steps = count_steps(monkeypatch, terminate)

    with pytest.raises((SystemExit, KeyboardInterrupt)):
        tune(potential, frames, tmp_path)
    assert len(steps) == n_steps
    outcome = tune(potential, frames, tmp_path)

    assert len(steps) == 2 * LAST_EPOCH
    assert_same(outcome, result)


def test_a_training_terminated_in_validation_finishes_the_epoch(
    potential: Potential,
    frames: Frames,
    result: FineTuningResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    got: list[int] = []

    def terminate_once(record: EpochRecord) -> None:
        got.append(record.epoch)

    whole = FineTuningModule.validation_step

    def step(module: FineTuningModule, micro_batches: list[Any]) -> None:
        if not got:
            os.kill(os.getpid(), signal.SIGTERM)
        whole(module, micro_batches)

    monkeypatch.setattr(FineTuningModule, "validation_step", step)
    with pytest.raises(SystemExit, match="143"):
        fine_tune(
            potential,
            frames,
            SETTINGS,
            recipe=NETWORK,
            workdir=tmp_path,
            on_epoch=terminate_once,
        )

    assert got == [1]
    assert_same(tune(potential, frames, tmp_path), result)


def count_steps(
    monkeypatch: pytest.MonkeyPatch, after: Callable[[int], object]
) -> list[int]:
    """Count the steps of trainings, and call a function after each."""
    steps: list[int] = []
    whole = FineTuningModule.training_step

    def step(module: FineTuningModule, micro_batches: list[Any]) -> torch.Tensor:
        steps.append(len(steps) + 1)
        loss = whole(module, micro_batches)
        after(steps[-1])
        return loss

    monkeypatch.setattr(FineTuningModule, "training_step", step)
    return steps


def test_a_finished_training_is_not_repeated(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    first = tune(potential, frames, tmp_path)
    again = tune(potential, frames, tmp_path)

    assert again.history == first.history
    assert_same(first, again)


def test_the_checkpoint_of_another_training_is_rejected(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    tune(
        potential, frames, tmp_path, settings=SETTINGS.model_copy(update={"epochs": 1})
    )

    with pytest.raises(
        InputError, match=r"last\.ckpt: expected the checkpoint of this"
    ):
        tune(potential, frames, tmp_path)


def test_a_training_writes_only_its_checkpoint(
    potential: Potential,
    frames: Frames,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    tune(potential, frames, tmp_path / "work" / "deep")

    assert list(here.iterdir()) == []
    written = {path.name for path in tmp_path.glob("work/deep/*")}
    assert written == {STATE_FILE, PREVIOUS_FILE}


@pytest.mark.parametrize("damage", ["flipped", "truncated", "emptied", "removed"])
@pytest.mark.parametrize("n_damaged", [1, 2])
def test_a_training_with_damaged_checkpoints_equals_an_undisturbed_one(
    n_damaged: int,
    damage: str,
    potential: Potential,
    frames: Frames,
    result: FineTuningResult,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It resumes from the checkpoint before, or starts again, and says so."""
    interrupt_after(2, potential, frames, tmp_path)
    for name in (STATE_FILE, PREVIOUS_FILE)[:n_damaged]:
        damage_file(tmp_path / name, damage)
    epochs: list[int] = []

    outcome = fine_tune(
        potential,
        frames,
        SETTINGS,
        recipe=NETWORK,
        workdir=tmp_path,
        on_epoch=lambda record: epochs.append(record.epoch),
    )

    assert_same(outcome, result)
    assert epochs == ([2, 3] if n_damaged == 1 else [1, 2, 3])
    n_found = 0 if damage == "removed" else n_damaged
    assert outcome.n_damaged == n_found
    origins = ["previous.ckpt", "the start"][:n_found]
    assert [text.rpartition(" resumes from ")[2] for text in caplog.messages] == origins


def interrupt_after(
    n_epochs: int,
    potential: Potential,
    frames: Frames,
    workdir: Path,
    *,
    recipe: Recipe = NETWORK,
) -> None:
    """Train until the checkpoint of an epoch is written."""

    def kill(record: EpochRecord) -> None:
        if record.epoch == n_epochs:
            raise Killed

    with pytest.raises(Killed):
        fine_tune(
            potential,
            frames,
            SETTINGS,
            recipe=recipe,
            workdir=workdir,
            on_epoch=kill,
        )


def damage_file(path: Path, damage: str) -> None:
    """Flip one bit of a weight, cut the file, empty it, or remove it."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    if damage == "removed":
        path.unlink()
    elif damage == "flipped":
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 3 if damage == "truncated" else 0])


def test_checkpoints_within_an_epoch_change_no_bit_and_save_its_steps(
    potential: Potential,
    frames: Frames,
    result: FineTuningResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Epochs have two steps; the training is killed without warning in every one."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_INTERVAL", 0.0)

    def kill(step: int) -> None:
        if step % 2 == 0 and step < 4 * LAST_EPOCH:
            raise Killed

    steps = count_steps(monkeypatch, kill)
    for _ in range(2 * LAST_EPOCH - 1):
        with pytest.raises(Killed):
            tune(potential, frames, tmp_path)
    outcome = tune(potential, frames, tmp_path)

    assert len(steps) == 4 * LAST_EPOCH - 1
    assert_same(outcome, result)


def test_the_initial_potential_is_not_changed(
    potential: Potential, result: FineTuningResult
) -> None:
    untouched = network_of(load_potential("chgnet-0.3.0", "cpu")).state_dict()

    for name, weight in network_of(potential).state_dict().items():
        assert torch.equal(weight, untouched[name]), name
    assert not any(
        weight.requires_grad for weight in network_of(result.potential).parameters()
    )


def test_only_frozen_and_unused_weights_are_not_trained(
    potential: Potential, result: FineTuningResult
) -> None:
    """The last angle update of CHGNet is never used."""
    elements = result.potential.elements
    refs = {s: e for s, e in potential.atom_refs.items() if s in elements}
    before = network_of(potential.with_atom_refs(refs)).state_dict()
    kept = {n for n, w in weights_of(result).items() if torch.equal(w, before[n])}

    assert {name for name in kept if not name.endswith("frequencies")} == {
        "composition_model.fc.weight",
        *(name for name in before if name.startswith("angle_layers.2.")),
    }


def test_references_of_elements_with_labels_are_trained(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    moved = tune(potential, frames, tmp_path, recipe=RECIPES[Model.TRAINABLE_ATOM_REFS])

    before, after = potential.atom_refs, moved.potential.atom_refs
    changed = {symbol for symbol in after if after[symbol] != before[symbol]}
    assert changed == set(after) == {"Li", "F", "Na", "Cl", "Mg", "O"}


def test_the_best_weights_are_those_of_the_best_epoch(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    """The validation labels are those of the source, so the first epoch is best."""
    source, _ = potential.predict_frames(frames)
    is_val = frames.splits == "val"
    energies = np.where(is_val, source.energies, frames.energies)
    source_like = replace(frames, energies=energies)

    outcome = tune(potential, source_like, tmp_path)

    errors = [record.val.energy_mae or np.inf for record in outcome.history]
    assert outcome.best_epoch == 1 + int(np.argmin(errors)) == 1
    predicted, _ = outcome.potential.predict_frames(source_like)
    per_atom = np.abs(predicted.energies - energies) / frames.n_atoms
    assert per_atom[is_val].mean() == pytest.approx(min(errors), rel=1e-5)


def test_gradients_of_eight_layers_are_recorded_in_the_first_epoch(
    result: FineTuningResult,
) -> None:
    points = [(g.step, g.fraction_of_epoch) for g in result.gradients]

    assert points == [(0, 0.0)] * 8 + [(1, 0.5)] * 8
    assert [g.layer for g in result.gradients] == 2 * list(ChgnetBackend.tracked_layers)
    assert all(g.norm > 0 for g in result.gradients)


PARTS: dict[str, dict[str, object]] = {
    "readout": {"trained": "readout"},
    "last_block": {"trained": "last_block"},
    "adapters": {"trained": "adapters", "adapter_rank": 4},
}


def recipe_of(part: str) -> Recipe:
    return Recipe.model_validate(NETWORK.model_dump() | PARTS[part])


@pytest.fixture(scope="module")
def of_parts(
    potential: Potential, frames: Frames, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, FineTuningResult]:
    """Trainings of parts of the network."""
    folder = tmp_path_factory.mktemp("parts")
    return {
        part: tune(potential, frames, folder / part, recipe=recipe_of(part))
        for part in PARTS
    }


def test_a_training_changes_the_weights_of_its_part_alone(
    potential: Potential, of_parts: dict[str, FineTuningResult]
) -> None:
    groups = {
        id(weight): group
        for group, weights in backend_of(potential).parameter_groups().items()
        for weight in weights
    }
    before = dict(network_of(potential).named_parameters())
    changed: dict[str, set[str]] = {}
    for part, outcome in of_parts.items():
        changed[part] = {
            name
            for name, weight in network_of(outcome.potential).named_parameters()
            if not torch.equal(weight, before[name])
            and groups[id(before[name])] != "references"
        }
        assert min(e.train.loss for e in outcome.history[1:]) < (
            outcome.history[0].train.loss
        )

    found = {part: {groups[id(before[n])] for n in changed[part]} for part in PARTS}
    assert found["readout"] == {"readout"}
    assert found["last_block"] == {"readout", "last_block"}
    assert changed["adapters"] <= set(backend_of(potential).linear_maps())
    assert found["adapters"] == {"readout", "last_block", "body"}


def test_gradients_are_recorded_of_layers_that_are_trained(
    of_parts: dict[str, FineTuningResult],
) -> None:
    layers = {part: {g.layer for g in of_parts[part].gradients} for part in PARTS}

    assert layers == {
        "readout": {"MLP_Layer0"},
        "last_block": {"MLP_Layer0", "AtomConv3_W3"},
        "adapters": set(),
    }


def test_adapters_are_low_rank_changes_of_plain_weights(
    potential: Potential, of_parts: dict[str, FineTuningResult]
) -> None:
    before = network_of(potential)
    tuned = network_of(of_parts["adapters"].potential)

    assert list(tuned.state_dict()) == list(before.state_dict())
    for name in backend_of(potential).linear_maps():
        change = tuned.get_parameter(name) - before.get_parameter(name)
        values = torch.linalg.svdvals(change)
        assert float(values[4:].sum()) <= 0.01 * float(values.sum()), name


@pytest.mark.parametrize("part", list(PARTS))
def test_a_training_of_a_part_resumes_to_the_last_bit(
    part: str,
    potential: Potential,
    frames: Frames,
    of_parts: dict[str, FineTuningResult],
    tmp_path: Path,
) -> None:
    recipe = recipe_of(part)
    interrupt_after(1, potential, frames, tmp_path, recipe=recipe)

    outcome = tune(potential, frames, tmp_path, recipe=recipe)

    assert_same(outcome, of_parts[part])


def test_adapters_of_another_rank_do_not_resume(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    recipe = recipe_of("adapters")
    interrupt_after(1, potential, frames, tmp_path, recipe=recipe)

    other = recipe.model_copy(update={"adapter_rank": 5})
    with pytest.raises(InputError, match="expected the checkpoint of this training"):
        tune(potential, frames, tmp_path, recipe=other)


@pytest.mark.filterwarnings("ignore:Converting a tensor:UserWarning")  # chgnet's own
def test_adapters_predict_the_same_in_plain_chgnet(
    of_parts: dict[str, FineTuningResult], tmp_path: Path
) -> None:
    tuned = of_parts["adapters"].potential
    tuned.save(tmp_path / "tuned.pth.tar")
    structures = make_structures()

    chgnet = CHGNet.from_file(str(tmp_path / "tuned.pth.tar"))
    again = load_potential(str(tmp_path / "tuned.pth.tar"), "cpu")

    for structure, here, there in zip(
        structures, tuned.predict(structures), again.predict(structures), strict=True
    ):
        expected = chgnet.predict_structure(structure, task="ef")
        assert here.energy is not None
        assert there.energy == pytest.approx(here.energy, abs=1e-6)
        assert here.energy / len(structure) == pytest.approx(
            float(expected["e"]), abs=1e-5
        )
        assert here.forces is not None
        np.testing.assert_allclose(here.forces, expected["f"], atol=1e-4)


@pytest.mark.filterwarnings("ignore:Converting a tensor:UserWarning")  # chgnet's own
def test_a_checkpoint_predicts_the_same_in_plain_chgnet(
    result: FineTuningResult, tmp_path: Path
) -> None:
    result.potential.save(tmp_path / "tuned.pth.tar")
    structures = make_structures()

    chgnet = CHGNet.from_file(str(tmp_path / "tuned.pth.tar"))

    predictions = result.potential.predict(structures, "e")
    for structure, prediction in zip(structures, predictions, strict=True):
        expected = float(chgnet.predict_structure(structure, task="e")["e"])
        assert prediction.energy is not None
        assert prediction.energy / len(structure) == pytest.approx(expected, abs=1e-5)


def test_frames_without_graph_or_reference_are_left_out_with_their_reason(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    without_magnesium = {s: e for s, e in potential.atom_refs.items() if s != "Mg"}
    start = potential.with_atom_refs(without_magnesium)
    lattices = frames.lattices.copy()
    lattices[0] *= 5
    isolated = replace(frames, lattices=lattices)

    outcome = tune(start, isolated, tmp_path)

    assert {name: why.split(":")[0] for name, why in outcome.unusable.items()} == {
        "frame-0": "isolated atom",
        "frame-2": "no atomic reference energy for Mg",
        "frame-5": "no atomic reference energy for Mg",
    }
    assert (outcome.n_train_frames, outcome.n_train_materials) == (3, 3)


@pytest.mark.parametrize("model", [Model.FROZEN_ATOM_REFS, Model.TRAINABLE_ATOM_REFS])
def test_a_trained_model_covers_the_elements_of_its_training_frames(
    potential: Potential, frames: Frames, tmp_path: Path, model: Model
) -> None:
    """Five frames of LiF, NaCl and MgO: none of tungsten, which the source covers."""
    settings = SETTINGS.model_copy(update={"epochs": 1})
    outcome = tune(
        potential, frames, tmp_path, settings=settings, recipe=RECIPES[model]
    )

    tungsten = Structure(Lattice.cubic(3.2), ["W", "W"], [[0, 0, 0], [0.5] * 3])
    [prediction] = outcome.potential.predict([tungsten])

    assert "W" in potential.elements
    assert outcome.potential.elements == {"Li", "F", "Na", "Cl", "Mg", "O"}
    assert prediction.energy is None
    assert prediction.error == "no atomic reference energy for W"
    assert prediction.forces is not None


def test_validation_frames_with_elements_of_no_training_frame_are_left_out(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    """One frame of LiF is trained on; of frames 5 and 6, the last is LiF too."""
    splits = np.array(["train", *[""] * 4, "val", "val"])
    outcome = tune(potential, frames.with_splits(splits), tmp_path)

    assert outcome.unusable == {"frame-5": "no atomic reference energy for Mg, O"}
    assert outcome.potential.elements == {"Li", "F"}


def test_a_subset_of_the_frames_is_trained_on(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"n_train_frames": 2, "epochs": 1})

    assert tune(potential, frames, tmp_path, settings=settings).n_train_frames == 2


def test_frames_with_missing_labels_are_trained_on_the_others(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    energies = np.where(frames.splits == "train", np.nan, frames.energies)
    magmoms = np.full_like(frames.magmoms, np.nan)

    outcome = tune(
        potential, replace(frames, energies=energies, magmoms=magmoms), tmp_path
    )

    last = outcome.history[-1]
    assert last.train.energy_mae is None
    assert last.train.magmoms_mae is None
    assert last.train.forces_mae is not None
    assert np.isfinite(last.train.loss)


def test_training_in_double_precision_returns_single_precision(
    potential: Potential, frames: Frames, result: FineTuningResult, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"precision": Precision.FLOAT64})

    outcome = tune(potential, frames, tmp_path, settings=settings)

    single, double = result.history[-1].val, outcome.history[-1].val
    assert double.energy_mae == pytest.approx(single.energy_mae, rel=1e-2)
    assert next(network_of(outcome.potential).parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("model", "epochs"), [(Model.SOURCE, 3), (Model.FROZEN_ATOM_REFS, 0)]
)
def test_no_training_returns_the_initial_potential(
    model: Model, epochs: int, potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"epochs": epochs})

    outcome = tune(
        potential, frames, tmp_path, settings=settings, recipe=RECIPES[model]
    )

    assert (outcome.history, outcome.best_epoch) == ([], None)
    assert outcome.potential.atom_refs == potential.atom_refs
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("val", "at least 1 frames in the training split, got 0"),
        ("train", "a usable validation frame with an energy, got none among 0"),
    ],
)
def test_an_empty_split_is_rejected(
    split: str, message: str, potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    only = frames.with_splits(np.full(len(frames), split))

    with pytest.raises(InputError, match=message):
        tune(potential, only, tmp_path)


def test_a_diverged_training_is_an_input_error(
    potential: Potential, frames: Frames, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30})

    with pytest.raises(
        InputError, match=r"got a diverged training; learning_rate 1e\+30"
    ):
        tune(potential, frames, tmp_path, settings=settings)
