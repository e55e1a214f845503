"""Training batches, built on the fly from flat frames."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from nextrung.compute.fine_tuning import plan_batches
from nextrung.potentials.crystals import Crystals
from nextrung.potentials.graphs import build_graphs
from nextrung.potentials.losses import Properties
from nextrung.potentials.neighbours import find_pairs
from nextrung.potentials.survey import estimate_costs
from nextrung.schemas.fine_tuning import Precision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nextrung.potentials.graphs import GraphBatch
    from nextrung.potentials.neighbours import Pairs
    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.frames import Frames

#: Processes that prepare batches for an accelerator.
_N_WORKERS = 4


@dataclass(frozen=True, eq=False)
class Batch:
    """Frames ready to become graphs on a device.

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


class FrameBatches(Dataset[Batch]):
    """Batches by the indices of their frames.

    Parameters
    ----------
    frames : Frames
        Usable frames.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def __getitem__(self, indices: NDArray[np.int64]) -> Batch:
        """Build the batch of these frames."""
        frames = self._frames[indices]
        crystals = Crystals.from_frames(frames)
        return Batch(crystals, find_pairs(crystals), read_labels(frames))


class EpochBatches(Sampler["NDArray[np.int64]"]):
    """The batches of an epoch, in an order that seed and epoch determine.

    Parameters
    ----------
    costs : ndarray of int, shape (n_frames,)
        What each frame costs.
    settings : FineTuningSettings
        Batch size, seed and window.
    rank : int
        Number of this process.
    n_processes : int
        Processes that share each batch.
    """

    def __init__(
        self,
        costs: NDArray[np.int64],
        settings: FineTuningSettings,
        *,
        rank: int = 0,
        n_processes: int = 1,
    ) -> None:
        self._costs = costs
        self._settings = settings
        self._share = slice(rank, None, n_processes)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each.

        Parameters
        ----------
        epoch : int
            Epochs done before.
        """
        self._epoch = epoch

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return math.ceil(len(self._costs) / self._settings.batch_size)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """List the frames of each batch that this process trains on."""
        batches = plan_batches(self._costs, self._epoch, self._settings)
        return (batch[self._share] for batch in batches)


class FrameData(LightningDataModule):  # type: ignore[misc] # untyped base
    """Training and validation batches.

    Parameters
    ----------
    train : Frames
        Usable training frames.
    val : Frames
        Usable validation frames.
    settings : FineTuningSettings
        How frames are put into batches.
    """

    def __init__(
        self, train: Frames, val: Frames, settings: FineTuningSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self._train = train
        self._val = val
        self._costs = estimate_costs(train)

    @property
    def n_batches(self) -> int:
        """Training batches of an epoch."""
        return len(EpochBatches(self._costs, self.settings))

    def digest(self) -> str:
        """Hash the names and the energies of all frames."""
        parts = (self._train, self._val)
        content = [(part.frame_ids.tolist(), part.energies.tolist()) for part in parts]
        return hashlib.sha256(repr(content).encode()).hexdigest()

    def train_dataloader(self) -> DataLoader[Batch]:
        """Load the shuffled batches of an epoch."""
        rank, n_processes = self._place()
        return self._load(
            self._train,
            EpochBatches(
                self._costs, self.settings, rank=rank, n_processes=n_processes
            ),
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """Load the validation frames in their order."""
        rank, n_processes = self._place()
        own = np.arange(rank, len(self._val), n_processes)
        size = self.settings.batch_size
        batches = [own[start : start + size] for start in range(0, len(own), size)]
        return self._load(self._val, batches)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, _: int
    ) -> tuple[GraphBatch, Properties]:
        """Build the graphs of a batch where the network is."""
        double = self.settings.precision is Precision.FLOAT64
        return batch.to(device, torch.float64 if double else torch.float32)

    def _place(self) -> tuple[int, int]:
        """Return the number of this process and how many there are."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _load(
        self, frames: Frames, batches: Iterable[NDArray[np.int64]]
    ) -> DataLoader[Batch]:
        """Load batches of frames; beside an accelerator, ahead of time."""
        n_workers = _N_WORKERS if torch.cuda.is_available() else 0
        return DataLoader(
            FrameBatches(frames),
            sampler=batches,
            batch_size=None,
            num_workers=n_workers,
            persistent_workers=n_workers > 0,
        )
