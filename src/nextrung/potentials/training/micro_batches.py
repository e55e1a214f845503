"""Batches of training frames, split into micro-batches of limited cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from nextrung.potentials.graphs.batching import split_by_cost
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.training.losses import Properties

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.graphs.neighbors import Pairs
    from nextrung.schemas.frames import Frames

#: Cost of a micro-batch: what fits the caches of a CPU core, or about 25 GB on a GPU.
MAX_COST = {"cpu": 10_000, "cuda": 500_000}


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """Frames of a batch that pass through the network together, on the CPU.

    Parameters
    ----------
    crystals : Crystals
        Crystals of the frames.
    pairs : Pairs
        Their pairs.
    labels : Properties
        Their labels; NaN where a frame has none.
    """

    crystals: Crystals
    pairs: Pairs
    labels: Properties

    def to(
        self, device: torch.device, dtype: torch.dtype
    ) -> tuple[GraphBatch, Properties]:
        """Build the graphs and move the labels to a device.

        Parameters
        ----------
        device : torch.device
            Device of the training.
        dtype : torch.dtype
            Floating-point type of the training.

        Returns
        -------
        tuple of (GraphBatch, Properties)
            Graphs and labels; the energies stay in float64.
        """
        graphs = build_graphs(self.crystals, device, dtype, pairs=self.pairs)
        labels = Properties(
            energies=self.labels.energies.to(device),
            forces=self.labels.forces.to(device, dtype),
            stresses=self.labels.stresses.to(device, dtype),
            magmoms=self.labels.magmoms.to(device, dtype),
        )
        return graphs, labels


def read_labels(frames: Frames) -> Properties:
    """Read the labels of frames in the units of training.

    Parameters
    ----------
    frames : Frames
        Labelled frames.

    Returns
    -------
    Properties
        Energies per atom, forces, stresses and absolute magnetic moments.
    """
    return Properties(
        energies=torch.from_numpy(frames.energies / frames.n_atoms),
        forces=torch.from_numpy(frames.forces),
        stresses=torch.from_numpy(frames.stresses),
        magmoms=torch.from_numpy(np.abs(frames.magmoms)),
    )


class MicroBatchDataset(Dataset[list[MicroBatch]]):
    """Batches by the indices of their frames.

    Parameters
    ----------
    frames : Frames
        Usable frames.
    max_cost : int
        Cost of a micro-batch. The gradients of micro-batches are summed, so that the
        memory of a step is limited and its tensors fit the caches of a CPU.
    """

    def __init__(self, frames: Frames, max_cost: int) -> None:
        self._frames = frames
        self._max_cost = max_cost

    def __getitem__(self, indices: NDArray[np.int64]) -> list[MicroBatch]:
        """Build the micro-batches of the batch of these frames."""
        frames = self._frames[indices]
        crystals = Crystals.from_frames(frames)
        pairs = find_pairs(crystals)
        return [
            MicroBatch(crystals[chosen], pairs[chosen], read_labels(frames[chosen]))
            for chosen in split_by_cost(pairs.costs, self._max_cost)
        ]
