from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.training.frame_screening import estimate_costs
from nextrung.potentials.training.micro_batches import (
    MicroBatchDataset,
    read_labels,
)
from nextrung.schemas.fine_tuning import FineTuningSettings
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


def test_a_batch_holds_the_frames_asked_for(frames: Frames) -> None:
    chosen = np.array([7, 2])

    (part,) = MicroBatchDataset(frames, 10_000)[chosen]
    graphs, labels = part.to(CPU, torch.float32)

    assert graphs.n_atoms.tolist() == [2, 1]
    np.testing.assert_allclose(
        labels.energies, (frames.energies / frames.n_atoms)[chosen]
    )


def test_graphs_of_a_batch_are_those_of_its_crystals(frames: Frames) -> None:
    (part,) = MicroBatchDataset(frames, 10_000)[np.arange(3)]

    graphs, _ = part.to(CPU, torch.float64)

    again = build_graphs(part.crystals, "cpu", torch.float64)
    torch.testing.assert_close(graphs.vectors, again.vectors)


@pytest.mark.parametrize("max_cost", [1, 600, 10_000])
def test_parts_of_a_batch_make_up_the_batch(max_cost: int, frames: Frames) -> None:
    chosen = np.array([3, 8, 0, 5])

    parts = MicroBatchDataset(frames, max_cost)[chosen]

    whole = read_labels(frames[chosen])
    for name in ("energies", "forces", "stresses", "magmoms"):
        joined = torch.cat([getattr(part.labels, name) for part in parts])
        torch.testing.assert_close(joined, getattr(whole, name))
    assert sum(len(part.crystals) for part in parts) == 4


def test_a_part_costs_no_more_than_the_limit_and_a_frame(frames: Frames) -> None:
    costs = estimate_costs(frames)
    limit = 2 * int(costs.max())

    parts = MicroBatchDataset(frames, limit)[np.arange(10)]

    assert 2 < len(parts) < 10
    assert all(part.pairs.costs.sum() < limit + costs.max() for part in parts)


def test_a_batch_of_no_frame_has_no_parts(frames: Frames) -> None:
    """A process beyond the frames of a small batch has nothing to do."""
    assert MicroBatchDataset(frames, 10_000)[np.arange(0)] == []
