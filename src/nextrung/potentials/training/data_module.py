"""Training and validation batches in the order of an epoch, shared by processes."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Sampler

from nextrung.compute.fine_tuning import plan_batches
from nextrung.potentials.training.frame_screening import estimate_costs
from nextrung.potentials.training.micro_batches import (
    MAX_COST,
    MicroBatch,
    MicroBatchDataset,
)
from nextrung.schemas.fine_tuning import Precision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.training.losses import Properties
    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.frames import Frames

#: Processes that prepare batches.
_N_WORKERS = {"cpu": 0, "cuda": 4}


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
    resumed : tuple of (int, int)
        Epochs done before, and batches done in the epoch that was interrupted.
    """

    def __init__(
        self,
        costs: NDArray[np.int64],
        settings: FineTuningSettings,
        *,
        rank: int = 0,
        n_processes: int = 1,
        resumed: tuple[int, int] = (0, 0),
    ) -> None:
        self._costs = costs
        self._settings = settings
        self._share = slice(rank, None, n_processes)
        self._epoch, _ = self._resumed = resumed

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
        resumed, n_done = self._resumed
        waiting = batches[n_done:] if self._epoch == resumed else batches
        return (batch[self._share] for batch in waiting)


class FrameDataModule(LightningDataModule):  # type: ignore[misc] # untyped base
    """Training and validation batches.

    Parameters
    ----------
    train : Frames
        Usable training frames.
    val : Frames
        Usable validation frames.
    settings : FineTuningSettings
        How frames are put into batches.
    device : torch.device
        Where training runs.
    """

    def __init__(
        self,
        train: Frames,
        val: Frames,
        settings: FineTuningSettings,
        *,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.device = device
        self._resumed = (0, 0)
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

    def skip(self, n_epochs: int, n_batches: int) -> None:
        """Leave out what an interrupted training has done.

        Parameters
        ----------
        n_epochs : int
            Epochs done before.
        n_batches : int
            Batches done in the next epoch.
        """
        self._resumed = (n_epochs, n_batches)

    def train_dataloader(self) -> DataLoader[list[MicroBatch]]:
        """Load the shuffled batches of an epoch."""
        rank, n_processes = self._place()
        return self._load(
            self._train,
            EpochBatches(
                self._costs,
                self.settings,
                rank=rank,
                n_processes=n_processes,
                resumed=self._resumed,
            ),
        )

    def val_dataloader(self) -> DataLoader[list[MicroBatch]]:
        """Load the validation frames in their order."""
        rank, n_processes = self._place()
        size = self.settings.batch_size
        frames = np.arange(len(self._val))
        batches = [frames[start : start + size] for start in frames[::size]]
        return self._load(self._val, [batch[rank::n_processes] for batch in batches])

    def transfer_batch_to_device(
        self, batch: list[MicroBatch], device: torch.device, _: int
    ) -> list[tuple[GraphBatch, Properties]]:
        """Build the graphs of the parts of a batch where the network is.

        Parameters
        ----------
        batch : list of MicroBatch
            Parts on the host.
        device : torch.device
            Where the network is.
        _ : int
            Number of the data loader, which is not read.

        Returns
        -------
        list of (GraphBatch, Properties)
            Graphs and labels of each part, on the device.
        """
        double = self.settings.precision is Precision.FLOAT64
        dtype = torch.float64 if double else torch.float32
        return [part.to(device, dtype) for part in batch]

    def _place(self) -> tuple[int, int]:
        """Return the number of this process and how many there are."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _load(
        self, frames: Frames, batches: Iterable[NDArray[np.int64]]
    ) -> DataLoader[list[MicroBatch]]:
        """Load batches of frames; beside an accelerator, ahead of time."""
        n_workers = _N_WORKERS[self.device.type]
        return DataLoader(
            MicroBatchDataset(frames, MAX_COST[self.device.type]),
            sampler=batches,
            batch_size=None,
            num_workers=n_workers,
            persistent_workers=n_workers > 0,
        )
