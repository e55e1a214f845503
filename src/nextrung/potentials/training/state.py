"""State of a training that its checkpoint holds."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nextrung.checked_files import read_checked
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import EpochRecord, GradientRecord

if TYPE_CHECKING:
    from pathlib import Path

#: Key of the training state in a Lightning checkpoint.
STATE_KEY = "nextrung"


@dataclass(frozen=True)
class EpochProgress:
    """Progress of an unfinished epoch.

    Parameters
    ----------
    n_batches : int
        Batches done.
    totals : list of float
        Sums of errors over these batches, of all ranks.
    wall_time : float
        Time spent on these batches in s.
    """

    n_batches: int = 0
    totals: list[float] = field(default_factory=list)
    wall_time: float = 0.0


@dataclass
class TrainingState:
    """History, gradients and best weights of a training so far.

    Parameters
    ----------
    identity : str
        String that differs between trainings with other data or settings.
    history : list of EpochRecord
        One record per epoch done.
    gradients : list of GradientRecord
        Gradients in the first epoch.
    best_epoch : int or None
        Epoch of the lowest validation energy error.
    best_weights : dict of str to Tensor
        Copy of the weights after the best epoch, on the CPU.
    epoch_progress : EpochProgress
        Progress of the epoch after the history.
    """

    identity: str = ""
    history: list[EpochRecord] = field(default_factory=list)
    gradients: list[GradientRecord] = field(default_factory=list)
    best_epoch: int | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    epoch_progress: EpochProgress = field(default_factory=EpochProgress)

    def dump(self) -> dict[str, Any]:
        """Convert the state to plain values and tensors."""
        return {
            **vars(self),
            "history": [record.model_dump(mode="json") for record in self.history],
            "gradients": [record.model_dump(mode="json") for record in self.gradients],
            "epoch_progress": asdict(self.epoch_progress),
        }

    @classmethod
    def load(cls, content: dict[str, Any]) -> TrainingState:
        """Restore the state from plain values.

        Parameters
        ----------
        content : dict of str to object
            Values that :meth:`dump` returned.
        """
        history = [EpochRecord(**record) for record in content["history"]]
        gradients = [GradientRecord(**record) for record in content["gradients"]]
        progress = EpochProgress(**content["epoch_progress"])
        restored = {"history": history, "gradients": gradients}
        return cls(**{**content, **restored, "epoch_progress": progress})

    @classmethod
    def read(cls, path: Path) -> TrainingState:
        """Read the state from a Lightning checkpoint.

        Parameters
        ----------
        path : Path
            Checkpoint that :class:`.CheckpointCallback` wrote.

        Raises
        ------
        DamagedFileError
            If the file has not the checksum written with it.
        InputError
            If the file is not such a checkpoint.
        """
        content = read_checked(path)
        try:
            checkpoint = torch.load(
                BytesIO(content), map_location="cpu", weights_only=True
            )
            return cls.load(checkpoint[STATE_KEY])
        except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
            raise InputError(f"{path}: expected the state of a training") from error
