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

#: Cost of frames that pass through the network together: what fits the caches of a CPU
#: core, and about 25 GB on a GPU.
MAX_COST = {"cpu": 10_000, "cuda": 500_000}
#: Processes that prepare batches.
_N_WORKERS = {"cpu": 0, "cuda": 4}


@dataclass(frozen=True, eq=False)
class Part:
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


class FrameBatches(Dataset[list[Part]]):
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

    def __getitem__(self, indices: NDArray[np.int64]) -> list[Part]:
        """Build the parts of the batch of these frames."""
        frames = self._frames[indices]
        crystals = Crystals.from_frames(frames)
        pairs = find_pairs(crystals)
        return [
            Part(crystals[run], pairs[run], read_labels(frames[run]))
            for run in _cut(pairs.costs, self._max_cost)
        ]


def _cut(costs: NDArray[np.int64], limit: int) -> list[NDArray[np.int64]]:
    """Cut rows into runs that cost about as much as the limit, one row at least."""
    runs = (np.cumsum(costs) - costs) // limit
    rows = np.split(np.arange(len(costs)), np.flatnonzero(np.diff(runs)) + 1)
    return [run for run in rows if len(run)]


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
        self._device = device
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

    def train_dataloader(self) -> DataLoader[list[Part]]:
        """Load the shuffled batches of an epoch."""
        rank, n_processes = self._place()
        return self._load(
            self._train,
            EpochBatches(
                self._costs, self.settings, rank=rank, n_processes=n_processes
            ),
        )

    def val_dataloader(self) -> DataLoader[list[Part]]:
        """Load the validation frames in their order."""
        rank, n_processes = self._place()
        size = self.settings.batch_size
        frames = np.arange(len(self._val))
        batches = [frames[start : start + size] for start in frames[::size]]
        return self._load(self._val, [batch[rank::n_processes] for batch in batches])

    def transfer_batch_to_device(
        self, batch: list[Part], device: torch.device, _: int
    ) -> list[tuple[GraphBatch, Properties]]:
        """Build the graphs of the parts of a batch where the network is."""
        double = self.settings.precision is Precision.FLOAT64
        dtype = torch.float64 if double else torch.float32
        return [part.to(device, dtype) for part in batch]

    def _place(self) -> tuple[int, int]:
        """Return the number of this process and how many there are."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _load(
        self, frames: Frames, batches: Iterable[NDArray[np.int64]]
    ) -> DataLoader[list[Part]]:
        """Load batches of frames; beside an accelerator, ahead of time."""
        n_workers = _N_WORKERS[self._device.type]
        return DataLoader(
            FrameBatches(frames, MAX_COST[self._device.type]),
            sampler=batches,
            batch_size=None,
            num_workers=n_workers,
            persistent_workers=n_workers > 0,
        )
