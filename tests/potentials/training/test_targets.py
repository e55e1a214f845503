"""Targets that are no labels: predictions of the source, and replayed crystals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from tests.potentials.networks import network_of

from nextrung.potentials.registry import load_potential
from nextrung.potentials.training.fine_tuning import FineTuningResult, fine_tune
from nextrung.potentials.training.targets import (
    MAX_FORCE,
    WITHOUT_DATA,
    Targets,
    choose_targets,
    draw_replayed,
)
from nextrung.schemas.fine_tuning import EpochRecord, FineTuningSettings
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import (
    Anchor,
    Recipe,
    ReplayAnchor,
    Rereference,
    Trained,
    TrainingLabels,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.potentials.potential import Potential

SETTINGS = FineTuningSettings(epochs=2, batch_size=2, gradient_points=0)


@pytest.fixture(scope="module")
def start() -> Potential:
    """The source with references of lithium and fluorine alone."""
    source = load_potential("chgnet-0.3.0", "cpu")
    return source.with_atom_refs({"Li": -3.0, "F": -4.0})


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Six frames of LiF, labelled by the r2SCAN model."""
    edges = (2.8, 2.85, 2.9, 2.95, 3.0, 3.05)
    structures = [
        Structure(Lattice.cubic(edge), ["Li", "F"], [[0, 0, 0], [0.52, 0.5, 0.47]])
        for edge in edges
    ]
    unlabelled = Frames.from_structures(structures, functional="r2SCAN")
    labelled, _ = load_potential("chgnet-r2scan", "cpu").predict_frames(unlabelled)
    return labelled.with_splits(np.array(["train"] * 4 + ["val"] * 2))


def choose(
    start: Potential,
    frames: Frames,
    kind: TrainingLabels = TrainingLabels.AS_GIVEN,
    anchor: Anchor | None = None,
) -> Targets:
    train = frames.split("train")
    return choose_targets(train, kind, anchor, start=start, seed=0)


def tune(
    start: Potential,
    frames: Frames,
    workdir: Path,
    **choices: Any,  # noqa: ANN401
) -> FineTuningResult:
    recipe = Recipe(
        pretrained=True,
        rereference=Rereference.NONE,
        trained=Trained.NETWORK,
        **choices,
    )
    return fine_tune(start, frames, SETTINGS, recipe=recipe, workdir=workdir)


def test_given_labels_need_no_marks(start: Potential, frames: Frames) -> None:
    targets = choose(start, frames)

    assert targets.marks is None
    assert len(targets.replayed) == targets.n_source_labelled == 0
    np.testing.assert_array_equal(targets.frames.forces, frames.split("train").forces)


def test_energies_alone_have_no_other_target(start: Potential, frames: Frames) -> None:
    targets = choose(start, frames, TrainingLabels.ENERGIES)

    assert np.isfinite(targets.frames.energies).all()
    for values in (targets.frames.forces, targets.frames.stresses):
        assert np.isnan(values).all()
    assert np.isnan(targets.frames.magmoms).all()
    assert targets.marks is None


def test_forces_of_the_source_are_targets_and_no_labels(
    start: Potential, frames: Frames
) -> None:
    targets = choose(start, frames, TrainingLabels.ENERGIES_SOURCE_FORCES)
    predicted, _ = start.predict_frames(frames.split("train"), "efs")

    np.testing.assert_array_equal(targets.frames.energies, frames.energies[:4])
    np.testing.assert_array_equal(
        targets.frames.forces, predicted.forces.astype(np.float32)
    )
    assert targets.n_source_labelled == 4
    assert targets.marks is not None
    assert targets.marks.are_labels.tolist() == [[True, False, False, False]] * 4


def test_replayed_crystals_have_predictions_of_the_start_and_no_labels(
    start: Potential, frames: Frames
) -> None:
    """1.5 per training frame, of elements that the training frames lack too."""
    anchor = ReplayAnchor(fraction=1.5, weight=0.5)
    targets = choose(start, frames, anchor=anchor)
    replayed = targets.replayed

    assert len(replayed) == 6
    symbols = {s.symbol for c in replayed.compositions() for s in c.elements}
    assert not symbols & WITHOUT_DATA
    assert symbols - {"Li", "F"}
    assert np.isfinite(replayed.energies).all()
    assert np.linalg.norm(replayed.forces, axis=1).max() <= MAX_FORCE
    again = start.backend.copy()
    assert again.known_elements >= symbols
    forces = start.predict_frames(replayed, "efs")[0].forces
    np.testing.assert_allclose(replayed.forces, forces, atol=1e-5)
    assert targets.marks is not None
    assert targets.marks.weights.tolist() == [1.0] * 4 + [0.5] * 6
    assert targets.marks.are_labels.all(axis=1).tolist() == [True] * 4 + [False] * 6


def test_replayed_crystals_depend_on_the_seed_alone(start: Potential) -> None:
    first, second, other = (draw_replayed(start, 3, seed=s) for s in (0, 0, 1))

    assert first.frame_ids.tolist() == second.frame_ids.tolist()
    np.testing.assert_array_equal(first.energies, second.energies)
    assert first.frame_ids.tolist() != other.frame_ids.tolist()


@pytest.mark.parametrize("kind", ["energies", "energies_source_forces"])
def test_targets_that_are_no_labels_have_no_errors(
    kind: str, start: Potential, frames: Frames, tmp_path: Path
) -> None:
    """Validation has the errors of all labels."""
    result = tune(start, frames, tmp_path, training_labels=kind)

    for epoch in result.history:
        assert epoch.train.energy_mae is not None
        assert epoch.train.forces_mae is epoch.train.stress_mae is None
        assert epoch.val.forces_mae is not None
    n_expected = 4 if kind == "energies_source_forces" else 0
    assert result.n_source_labelled == n_expected


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_frames_without_forces_are_trained_on(
    share: float, start: Potential, frames: Frames, tmp_path: Path
) -> None:
    """No frame has forces, or every other one."""
    bare = np.arange(len(frames)) % 2 >= 2 * share
    forces = np.where(bare[frames.frame_of_site, None], np.nan, frames.forces)
    stresses = np.where(bare[:, None, None], np.nan, frames.stresses)
    left = replace(
        frames,
        forces=forces.astype(np.float32),
        stresses=stresses.astype(np.float32),
        magmoms=np.full_like(frames.magmoms, np.nan),
    )

    result = tune(start, left, tmp_path)

    for errors in (result.history[-1].train, result.history[-1].val):
        assert errors.energy_mae is not None
        assert (
            (errors.forces_mae is None) == (errors.stress_mae is None) == (share == 0)
        )
        assert errors.magmoms_mae is None
        assert np.isfinite(errors.loss)


def test_a_strong_anchor_keeps_the_weights_at_the_start(
    start: Potential, frames: Frames, tmp_path: Path
) -> None:
    free = tune(start, frames, tmp_path / "free")
    held = tune(
        start, frames, tmp_path / "held", anchor={"kind": "l2", "weight": 1000.0}
    )

    assert measure_distance(held, start) < 0.5 * measure_distance(free, start)


def measure_distance(result: FineTuningResult, start: Potential) -> float:
    """Measure how far the weights of a network have moved."""
    moved, before = network_of(result.potential), network_of(start)
    pairs = zip(moved.mlp.parameters(), before.mlp.parameters(), strict=True)
    return float(torch.stack([((a - b) ** 2).sum() for a, b in pairs]).sum())


class Killed(Exception):  # noqa: N818
    """Exception that interrupts a training."""


def kill(_: EpochRecord) -> None:
    raise Killed


@pytest.mark.parametrize(
    "anchor", [{"kind": "l2", "weight": 0.1}, {"kind": "replay", "fraction": 0.5}]
)
def test_a_resumed_anchored_training_equals_an_uninterrupted_one(
    anchor: dict[str, Any], start: Potential, frames: Frames, tmp_path: Path
) -> None:
    whole = tune(start, frames, tmp_path / "whole", anchor=anchor)
    recipe = Recipe(
        pretrained=True,
        rereference=Rereference.NONE,
        trained=Trained.NETWORK,
        anchor=anchor,
    )
    with pytest.raises(Killed):
        fine_tune(
            start,
            frames,
            SETTINGS,
            recipe=recipe,
            workdir=tmp_path / "parts",
            on_epoch=kill,
        )

    resumed = tune(start, frames, tmp_path / "parts", anchor=anchor)

    assert resumed.n_replayed == whole.n_replayed
    assert resumed.history[-1].val == whole.history[-1].val
    weights = network_of(whole.potential).state_dict()
    for name, weight in network_of(resumed.potential).state_dict().items():
        assert torch.equal(weight, weights[name])
