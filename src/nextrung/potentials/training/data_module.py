"""Data module: training and validation batches, shared by ranks."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Sampler

from nextrung.compute.fine_tuning import plan_batches, share_batch
from nextrung.potentials.training.frame_screening import estimate_costs
from nextrung.potentials.training.micro_batches import MicroBatch, MicroBatchDataset
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nextrung.potentials.interface import TrainableBackend
    from nextrung.potentials.training.target_marks import TargetMarks
    from nextrung.schemas.fine_tuning import FineTuningSettings

#: Worker processes of a data loader.
_N_WORKERS = {"cpu": 0, "cuda": 2}


class _EpochBatches(Sampler["NDArray[np.int64]"]):
    """Sampler of the batches of an epoch, ordered by seed and epoch.

    The last ``n_replayed`` frames are replayed ones. Batches are shared by
    ``n_processes`` ranks. ``resumed`` are the epochs, and the
    batches of the next epoch, done before the training was resumed.
    """

    def __init__(
        self,
        costs: NDArray[np.int64],
        settings: FineTuningSettings,
        *,
        n_replayed: int = 0,
        rank: int = 0,
        n_processes: int = 1,
        resumed: tuple[int, int] = (0, 0),
    ) -> None:
        self._costs = costs
        self._settings = settings
        self._n_given, self._n_replayed = len(costs) - n_replayed, n_replayed
        self._rank, self._n_processes = rank, n_processes
        self._epoch, _ = self._resumed = resumed

    def set_epoch(self, epoch: int) -> None:
        """Set the number of epochs done; Lightning calls this before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return math.ceil(self._n_given / self._settings.batch_size)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Return the frames of each batch that this rank trains on."""
        batches = plan_batches(
            self._n_given, self._epoch, self._settings, n_replayed=self._n_replayed
        )
        resumed, n_done = self._resumed
        remaining = batches[n_done:] if self._epoch == resumed else batches
        return (
            share_batch(batch, self._costs, self._n_processes)[self._rank]
            for batch in remaining
        )


class FrameDataModule(LightningDataModule):  # type: ignore[misc] # untyped base
    """Training and validation batches.

    Parameters
    ----------
    train : Frames
        Usable training frames.
    val : Frames
        Usable validation frames.
    settings : FineTuningSettings
        Batch size, seed and precision.
    backend : TrainableBackend
        Network, which builds its inputs.
    replayed : Frames, optional
        Structures with predictions of the source; every batch has a part of them
        beside its training frames.
    marks : TargetMarks, optional
        Marks of the training frames and, after them, of the replayed ones; by default
        all targets are labels of weight 1.
    """

    def __init__(
        self,
        train: Frames,
        val: Frames,
        settings: FineTuningSettings,
        *,
        backend: TrainableBackend,
        replayed: Frames | None = None,
        marks: TargetMarks | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.device = backend.device
        self._backend = backend
        self._resumed = (0, 0)
        self._given = train
        self._train = train if replayed is None else _join(train, replayed)
        self._marks = marks
        self._val = val
        self._costs = estimate_costs(self._train, backend)

    @property
    def n_batches(self) -> int:
        """Number of training batches of an epoch."""
        return math.ceil(len(self._given) / self.settings.batch_size)

    @property
    def trained_properties(self) -> str:
        """Letters of the properties that a training frame has a target of."""
        return _list_properties(self._train)

    @property
    def scored_properties(self) -> str:
        """Letters of the properties that a validation frame has a label of."""
        return _list_properties(self._val)

    def digest(self) -> str:
        """Hash the names and the energies of all labelled frames."""
        splits = (self._given, self._val)
        content = [
            (split.frame_ids.tolist(), split.energies.tolist()) for split in splits
        ]
        return hashlib.sha256(repr(content).encode()).hexdigest()

    def skip(self, n_epochs: int, n_batches: int) -> None:
        """Skip the batches done before the training was resumed.

        Parameters
        ----------
        n_epochs : int
            Epochs done.
        n_batches : int
            Batches of the next epoch done.
        """
        self._resumed = (n_epochs, n_batches)

    def train_dataloader(self) -> DataLoader[list[MicroBatch]]:
        """Make the loader of the shuffled batches of an epoch."""
        rank, n_processes = self._find_rank()
        return self._make_loader(
            MicroBatchDataset(self._train, self._backend, self._marks),
            _EpochBatches(
                self._costs,
                self.settings,
                n_replayed=len(self._train) - len(self._given),
                rank=rank,
                n_processes=n_processes,
                resumed=self._resumed,
            ),
        )

    def val_dataloader(self) -> DataLoader[list[MicroBatch]]:
        """Make the loader of the validation batches, in the order of the frames."""
        rank, n_processes = self._find_rank()
        size = self.settings.batch_size
        frames = np.arange(len(self._val))
        batches = [frames[start : start + size] for start in frames[::size]]
        return self._make_loader(
            MicroBatchDataset(self._val, self._backend),
            [batch[rank::n_processes] for batch in batches],
        )

    def transfer_batch_to_device(
        self, batch: list[MicroBatch], *_: object
    ) -> list[MicroBatch]:
        """Keep a batch on the CPU: its tensors are built when its loss is evaluated.

        Parameters
        ----------
        batch : list of MicroBatch
            Micro-batches on the CPU.
        *_ : object
            Device of the network and index of the data loader; not used.

        Returns
        -------
        list of MicroBatch
            The batch.
        """
        return batch

    def _find_rank(self) -> tuple[int, int]:
        """Find this rank and the number of ranks."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _make_loader(
        self, dataset: MicroBatchDataset, batches: Iterable[NDArray[np.int64]]
    ) -> DataLoader[list[MicroBatch]]:
        """Make the loader of batches; for an accelerator, with worker processes."""
        n_workers = _N_WORKERS[self.device.type]
        return DataLoader(
            dataset,
            sampler=batches,
            batch_size=None,
            num_workers=n_workers,
            persistent_workers=n_workers > 0,
        )


def _join(train: Frames, replayed: Frames) -> Frames:
    """Join training frames and replayed ones, of whatever functional."""
    return Frames.concatenate([train, replace(replayed, functional=train.functional)])


def _list_properties(frames: Frames) -> str:
    """List the letters of the properties that a frame has a target of."""
    targets: dict[str, NDArray[np.floating]] = {
        "f": frames.forces,
        "s": frames.stresses,
        "m": frames.magmoms,
    }
    return "e" + "".join(
        letter for letter, values in targets.items() if np.isfinite(values).any()
    )
