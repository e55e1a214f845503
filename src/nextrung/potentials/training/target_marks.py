"""Marks of training targets: their weights, and which of them are labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Selection
    from nextrung.schemas.frames import Frames

#: Number of properties: energies, forces, stresses and magnetic moments.
N_PROPERTIES = 4


@dataclass(frozen=True, eq=False)
class TargetMarks:
    """Weights of training frames, and which of their targets are labels.

    Targets that are no labels are predictions of the source: they count in the loss and
    in no error.

    Parameters
    ----------
    weights : ndarray of float, shape (n_frames,)
        Weight of each frame in the loss.
    are_labels : ndarray of bool, shape (n_frames, 4)
        Whether energies, forces, stress and magnetic moments are labels.
    """

    weights: NDArray[np.float64]
    are_labels: NDArray[np.bool_]

    def __getitem__(self, chosen: Selection) -> TargetMarks:
        """Select the marks of some frames, in the order given."""
        return TargetMarks(self.weights[chosen], self.are_labels[chosen])

    def spread(self, frames: Frames) -> tuple[SpreadMarks, ...]:
        """Repeat the marks for each row of the four properties.

        Parameters
        ----------
        frames : Frames
            The frames of these marks.
        """
        sites = frames.frame_of_site
        rows: tuple[tuple[NDArray[np.int64], tuple[int, ...]], ...] = (
            (np.arange(len(frames)), (-1,)),
            (sites, (-1, 1)),
            (np.arange(len(frames)), (-1, 1, 1)),
            (sites, (-1,)),
        )
        return tuple(
            SpreadMarks(
                weights=torch.from_numpy(self.weights[owners].reshape(shape)),
                are_labels=torch.from_numpy(
                    self.are_labels[owners, index].reshape(shape)
                ),
            )
            for index, (owners, shape) in enumerate(rows)
        )


@dataclass(frozen=True, eq=False)
class SpreadMarks:
    """Marks of the rows of one property; they broadcast to its components.

    Parameters
    ----------
    weights : Tensor of float64
        Weight of each row.
    are_labels : Tensor of bool
        Whether each row is a label.
    """

    weights: Tensor
    are_labels: Tensor

    def to(self, device: torch.device) -> SpreadMarks:
        """Copy the marks to a device.

        Parameters
        ----------
        device : torch.device
            Device of the training.
        """
        return SpreadMarks(self.weights.to(device), self.are_labels.to(device))
