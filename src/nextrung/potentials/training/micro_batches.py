"""Batches of training frames, split into micro-batches of limited cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from nextrung.potentials.graphs.batching import split_by_cost
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.training.losses import Properties

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.graphs.crystals import Selection
    from nextrung.potentials.interface import Batch, Inputs, TrainableBackend
    from nextrung.potentials.training.target_marks import TargetMarks
    from nextrung.schemas.frames import Frames


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """Frames of a batch that pass through the network together, on the CPU.

    Parameters
    ----------
    inputs : Inputs
        Crystals of the frames with their neighbor lists.
    frames : Frames
        The frames.
    marks : TargetMarks, optional
        Weights of the frames, and which of their targets are labels.
    """

    inputs: Inputs
    frames: Frames
    marks: TargetMarks | None = None

    def __getitem__(self, chosen: Selection) -> MicroBatch:
        """Select frames by indices, mask or slice, in that order."""
        marks = None if self.marks is None else self.marks[chosen]
        return MicroBatch(self.inputs[chosen], self.frames[chosen], marks)

    @property
    def labels(self) -> Properties:
        """Targets of the frames; NaN where a frame has none."""
        return read_labels(self.frames, self.marks)

    @property
    def cost(self) -> int:
        """Sum of the costs of its frames."""
        return int(self.inputs.costs.sum())

    def split(self, max_cost: int) -> list[MicroBatch]:
        """Split the frames into micro-batches of limited cost.

        Parameters
        ----------
        max_cost : int
            Cost, which each may exceed by less than a frame.

        Returns
        -------
        list of MicroBatch
            At least one frame each, in their order.
        """
        if self.cost <= max_cost:
            return [self]
        return [self[chosen] for chosen in split_by_cost(self.inputs.costs, max_cost)]

    def to(
        self, backend: TrainableBackend, device: torch.device, dtype: torch.dtype
    ) -> tuple[Batch, Properties]:
        """Build the input tensors and move the labels to a device.

        Parameters
        ----------
        backend : TrainableBackend
            Network.
        device : torch.device
            Device of the training.
        dtype : torch.dtype
            Floating-point type of the training.

        Returns
        -------
        tuple of (Batch, Properties)
            Inputs and labels; the energies stay in float64.
        """
        batch = backend.build(self.inputs, device, dtype)
        return batch, self.labels.to(device, dtype)


def read_labels(frames: Frames, marks: TargetMarks | None = None) -> Properties:
    """Read the targets of frames in the units of training.

    Parameters
    ----------
    frames : Frames
        Labelled frames.
    marks : TargetMarks, optional
        Weights of the frames, and which of their targets are labels; by default all
        are labels of weight 1.

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
        marks=None if marks is None else marks.spread(frames),
    )


class MicroBatchDataset(Dataset[list[MicroBatch]]):
    """Batches by the indices of their frames.

    Parameters
    ----------
    frames : Frames
        Usable frames.
    backend : TrainableBackend
        Network. Its limit is the cost of a micro-batch; the gradients of micro-batches
        are summed, so that the memory of a step is limited and its tensors fit the
        caches of a CPU.
    marks : TargetMarks, optional
        Weights of the frames, and which of their targets are labels; by default all
        are labels of weight 1.
    """

    def __init__(
        self,
        frames: Frames,
        backend: TrainableBackend,
        marks: TargetMarks | None = None,
    ) -> None:
        self._frames = frames
        self._marks = marks
        self._backend = backend
        self._max_cost = int(backend.limits.training[backend.device.type])

    def __getitem__(self, indices: NDArray[np.int64]) -> list[MicroBatch]:
        """Build the micro-batches of the batch of these frames."""
        frames = self._frames[indices]
        marks = None if self._marks is None else self._marks[indices]
        inputs = self._backend.prepare(
            Crystals.from_frames(frames), torch.device("cpu")
        )
        return [
            MicroBatch(
                inputs[chosen],
                frames[chosen],
                None if marks is None else marks[chosen],
            )
            for chosen in split_by_cost(inputs.costs, self._max_cost)
        ]
