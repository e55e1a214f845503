"""Training batches, built on the fly from flat frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.training.losses import Properties

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.graphs.neighbors import Pairs
    from nextrung.schemas.frames import Frames

#: Cost of frames that pass through the network together: what fits the caches of a CPU
#: core, and about 25 GB on a GPU.
MAX_COST = {"cpu": 10_000, "cuda": 500_000}


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """Frames of a batch that pass through the network together.

    Parameters
    ----------
    crystals : Crystals
        What is predicted.
    pairs : Pairs
        Neighbours in the crystals.
    labels : Properties
        What should be predicted, on the CPU; NaN where a frame has no label.
    """

    crystals: Crystals
    pairs: Pairs
    labels: Properties

    def to(
        self, device: torch.device, dtype: torch.dtype
    ) -> tuple[GraphBatch, Properties]:
        """Build the graphs on a device and bring the labels there.

        Parameters
        ----------
        device : torch.device
            Where training runs.
        dtype : torch.dtype
            Floating-point type of training.

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
    """Take the labels of frames as they are trained on.

    Parameters
    ----------
    frames : Frames
        Labelled frames.

    Returns
    -------
    Properties
        Energies per atom, absolute moments, forces and stresses as they are.
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
        Cost from which a batch is cut into parts: their gradients are added up, so
        that the memory of a step has a bound and its tensors fit the caches of a CPU.
    """

    def __init__(self, frames: Frames, max_cost: int) -> None:
        self._frames = frames
        self._max_cost = max_cost

    def __getitem__(self, indices: NDArray[np.int64]) -> list[MicroBatch]:
        """Build the parts of the batch of these frames."""
        frames = self._frames[indices]
        crystals = Crystals.from_frames(frames)
        pairs = find_pairs(crystals)
        return [
            MicroBatch(crystals[run], pairs[run], read_labels(frames[run]))
            for run in _cut(pairs.costs, self._max_cost)
        ]


def _cut(costs: NDArray[np.int64], limit: int) -> list[NDArray[np.int64]]:
    """Cut rows into runs that cost about as much as the limit, one row at least."""
    runs = (np.cumsum(costs) - costs) // limit
    rows = np.split(np.arange(len(costs)), np.flatnonzero(np.diff(runs)) + 1)
    return [run for run in rows if len(run)]
