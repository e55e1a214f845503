from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from tests.potentials.networks import backend_of, limited

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.registry import load_potential
from nextrung.potentials.training import frame_screening
from nextrung.potentials.training.data_module import FrameDataModule, _EpochBatches
from nextrung.potentials.training.frame_screening import estimate_costs, find_unusable
from nextrung.potentials.training.micro_batches import (
    MicroBatchDataset,
    read_labels,
)
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from nextrung.potentials.graphs.graphs import GraphBatch

CPU = torch.device("cpu")
POTENTIAL = load_potential("chgnet-r2scan", "cpu")
BACKEND = backend_of(POTENTIAL)
SETTINGS = FineTuningSettings(batch_size=4)


@pytest.fixture
def frames() -> Frames:
    """Ten labelled frames of one or two atoms."""
    rng = np.random.default_rng(0)
    iron = Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]])
    salt = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    frames = Frames.from_structures([iron, salt] * 5)
    return replace(
        frames,
        energies=rng.normal(size=10),
        forces=rng.normal(size=(15, 3)).astype(np.float32),
        stresses=rng.normal(size=(10, 3, 3)).astype(np.float32),
        magmoms=rng.normal(size=15).astype(np.float32),
    )


def test_ranks_share_each_batch_without_overlap() -> None:
    costs = np.arange(1, 11)
    whole = list(_EpochBatches(costs, SETTINGS))
    shares = [
        list(_EpochBatches(costs, SETTINGS, rank=rank, n_processes=2))
        for rank in (0, 1)
    ]

    for batch, *shared in zip(whole, *shares, strict=True):
        assert sorted(np.concatenate(shared)) == sorted(batch)


def test_another_epoch_has_other_batches() -> None:
    batches = _EpochBatches(np.ones(10, dtype=np.int64), SETTINGS)
    first = [batch.tolist() for batch in batches]

    batches.set_epoch(1)

    assert [batch.tolist() for batch in batches] != first
    assert len(batches) == len(first) == 3


def test_training_frames_are_shuffled_and_validation_frames_are_not(
    frames: Frames,
) -> None:
    data = FrameDataModule(frames, frames, SETTINGS, backend=BACKEND)

    train, val = (
        np.concatenate([micro.labels.energies for batch in loader for micro in batch])
        for loader in (data.train_dataloader(), data.val_dataloader())
    )

    expected = frames.energies / frames.n_atoms
    np.testing.assert_array_equal(val, expected)
    np.testing.assert_array_equal(np.sort(train), np.sort(expected))
    assert not np.array_equal(train, expected)
    assert data.n_batches == 3


def test_the_digest_depends_on_the_labels(frames: Frames) -> None:
    other = replace(frames, energies=frames.energies + 1e-9)

    digests = {
        FrameDataModule(split, split, SETTINGS, backend=BACKEND).digest()
        for split in (frames, other)
    }
    again = FrameDataModule(frames, frames, SETTINGS, backend=BACKEND).digest()

    assert len(digests) == 2
    assert again in digests


def test_labels_are_energies_per_atom_and_absolute_moments(frames: Frames) -> None:
    labels = read_labels(frames)

    np.testing.assert_allclose(
        labels.energies.numpy() * frames.n_atoms, frames.energies
    )
    np.testing.assert_array_equal(labels.magmoms, np.abs(frames.magmoms))
    np.testing.assert_array_equal(labels.forces, frames.forces)
    np.testing.assert_array_equal(labels.stresses, frames.stresses)


def test_missing_labels_stay_missing(frames: Frames) -> None:
    frames.magmoms[3] = np.nan

    assert torch.isnan(read_labels(frames).magmoms).nonzero().tolist() == [[3]]


def test_a_batch_has_the_frames_of_its_indices(frames: Frames) -> None:
    chosen = np.array([7, 2])

    (micro_batch,) = MicroBatchDataset(frames, BACKEND)[chosen]
    graphs, labels = micro_batch.to(BACKEND, CPU, torch.float32)

    assert graphs.n_atoms.tolist() == [2, 1]
    np.testing.assert_allclose(
        labels.energies, (frames.energies / frames.n_atoms)[chosen]
    )


def test_graphs_of_a_batch_are_those_of_its_crystals(frames: Frames) -> None:
    (micro_batch,) = MicroBatchDataset(frames, BACKEND)[np.arange(3)]

    graphs, _ = micro_batch.to(BACKEND, CPU, torch.float64)

    again = build_graphs(Crystals.from_frames(frames[:3]), "cpu", torch.float64)
    torch.testing.assert_close(cast("GraphBatch", graphs).vectors, again.vectors)


@pytest.mark.parametrize("max_cost", [1, 600, 10_000])
def test_micro_batches_make_up_the_batch(max_cost: int, frames: Frames) -> None:
    chosen = np.array([3, 8, 0, 5])

    micro_batches = MicroBatchDataset(frames, limited(POTENTIAL, max_cost))[chosen]

    whole = read_labels(frames[chosen])
    for name in ("energies", "forces", "stresses", "magmoms"):
        joined = torch.cat([getattr(micro.labels, name) for micro in micro_batches])
        torch.testing.assert_close(joined, getattr(whole, name))
    assert sum(len(micro.inputs.costs) for micro in micro_batches) == 4


def test_a_micro_batch_exceeds_the_limit_by_less_than_a_frame(frames: Frames) -> None:
    costs = estimate_costs(frames, BACKEND)
    limit = 2 * int(costs.max())

    micro_batches = MicroBatchDataset(frames, limited(POTENTIAL, limit))[np.arange(10)]

    assert 2 < len(micro_batches) < 10
    assert all(
        micro.inputs.costs.sum() < limit + costs.max() for micro in micro_batches
    )


def test_a_batch_of_no_frame_has_no_micro_batches(frames: Frames) -> None:
    """A rank without a frame of a small batch has nothing to compute."""
    assert MicroBatchDataset(frames, BACKEND)[np.arange(0)] == []


def make_frames() -> Frames:
    """Iron, isolated helium, caesium chloride and ytterbium."""
    return Frames.from_structures(
        [
            Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]]),
            Structure(Lattice.cubic(20), ["He"], [[0, 0, 0]]),
            Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
            Structure(Lattice.cubic(3.9), ["Yb"], [[0, 0, 0]]),
        ],
        ["iron", "helium", "salt", "ytterbium"],
    )


@pytest.fixture(params=[1, 256])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one frame, and one chunk of all."""
    monkeypatch.setattr(frame_screening, "_CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
def test_unusable_frames_are_named_with_their_reason() -> None:
    unusable = find_unusable(make_frames(), BACKEND, {"Fe", "He", "Cl"})

    assert list(unusable) == ["helium", "salt", "ytterbium"]
    assert unusable["helium"].startswith("isolated atom: site 0 (He)")
    assert unusable["salt"] == "no atomic reference energy for Cs"
    assert unusable["ytterbium"] == "no atomic reference energy for Yb"


def test_all_missing_elements_are_named() -> None:
    unusable = find_unusable(make_frames()[2:3], BACKEND, {"Fe"})

    assert unusable == {"salt": "no atomic reference energy for Cl, Cs"}


def test_numbers_of_no_element_are_unusable() -> None:
    frames = make_frames()[:1]
    numbers = np.array([120], dtype=np.int16)

    unusable = find_unusable(replace(frames, atomic_numbers=numbers), BACKEND, {"Fe"})

    assert unusable == {"iron": "atomic number 120 is outside 1..118"}


@pytest.mark.usefixtures("chunk")
def test_costs_are_those_of_the_pairs() -> None:
    frames = make_frames()

    expected = find_pairs(Crystals.from_frames(frames)).costs
    np.testing.assert_array_equal(estimate_costs(frames, BACKEND), expected)
