from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nextrung.potentials.training.data_module import EpochBatches, FrameDataModule
from nextrung.potentials.training.micro_batches import MicroBatchDataset
from nextrung.schemas.fine_tuning import FineTuningSettings, Precision
from nextrung.schemas.frames import Frames

CPU = torch.device("cpu")
SETTINGS = FineTuningSettings(batch_size=4, shuffle_window=2)


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


def test_processes_share_each_batch_without_overlap() -> None:
    costs = np.arange(1, 11)
    whole = list(EpochBatches(costs, SETTINGS))
    shares = [
        list(EpochBatches(costs, SETTINGS, rank=rank, n_processes=2)) for rank in (0, 1)
    ]

    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(np.concatenate(parts)) == sorted(batch)


def test_another_epoch_has_other_batches() -> None:
    batches = EpochBatches(np.ones(10, dtype=np.int64), SETTINGS)
    first = [batch.tolist() for batch in batches]

    batches.set_epoch(1)

    assert [batch.tolist() for batch in batches] != first
    assert len(batches) == len(first) == 3


def test_training_frames_are_shuffled_and_validation_frames_are_not(
    frames: Frames,
) -> None:
    data = FrameDataModule(frames, frames, SETTINGS, device=CPU)

    train, val = (
        np.concatenate([part.labels.energies for batch in loader for part in batch])
        for loader in (data.train_dataloader(), data.val_dataloader())
    )

    expected = frames.energies / frames.n_atoms
    np.testing.assert_array_equal(val, expected)
    np.testing.assert_array_equal(np.sort(train), np.sort(expected))
    assert not np.array_equal(train, expected)
    assert data.n_batches == 3


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [(Precision.FLOAT32, torch.float32), (Precision.FLOAT64, torch.float64)],
)
def test_batches_have_the_type_of_the_training(
    precision: Precision, dtype: torch.dtype, frames: Frames
) -> None:
    settings = SETTINGS.model_copy(update={"precision": precision})
    data = FrameDataModule(frames, frames, settings, device=CPU)
    batch = MicroBatchDataset(frames, 10_000)[np.arange(2)]

    ((graphs, labels),) = data.transfer_batch_to_device(batch, CPU, 0)

    assert graphs.vectors.dtype == labels.forces.dtype == dtype
    assert labels.energies.dtype == torch.float64


def test_the_digest_tells_labels_apart(frames: Frames) -> None:
    other = replace(frames, energies=frames.energies + 1e-9)

    digests = {
        FrameDataModule(part, part, SETTINGS, device=CPU).digest()
        for part in (frames, other)
    }
    again = FrameDataModule(frames, frames, SETTINGS, device=CPU).digest()

    assert len(digests) == 2
    assert again in digests
