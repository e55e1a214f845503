"""What a training leaves after each epoch."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import EpochRecord, GradientRecord

if TYPE_CHECKING:
    from pathlib import Path

#: Place of the training state in a Lightning checkpoint.
STATE_KEY = "nextrung"


@dataclass(frozen=True)
class EpochProgress:
    """Where in an epoch a training stopped.

    Parameters
    ----------
    n_batches : int
        Batches of the epoch done.
    totals : list of float
        Sums of errors over these batches, of all processes.
    wall_time : float
        Time spent on them in s.
    """

    n_batches: int = 0
    totals: list[float] = field(default_factory=list)
    wall_time: float = 0.0


@dataclass
class TrainingState:
    """What a training has to show so far.

    Parameters
    ----------
    identity : str
        What tells one training from another.
    history : list of EpochRecord
        One record per epoch done.
    gradients : list of GradientRecord
        Gradients in the first epoch.
    best_epoch : int or None
        Epoch of the lowest validation energy error.
    best_weights : dict of str to Tensor
        Copy of the weights after the best epoch, on the CPU.
    pause : EpochProgress
        Where in the next epoch it stopped.
    """

    identity: str = ""
    history: list[EpochRecord] = field(default_factory=list)
    gradients: list[GradientRecord] = field(default_factory=list)
    best_epoch: int | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    pause: EpochProgress = field(default_factory=EpochProgress)

    def dump(self) -> dict[str, Any]:
        """Turn the state into plain values and tensors."""
        return {
            **vars(self),
            "history": [record.model_dump(mode="json") for record in self.history],
            "gradients": [record.model_dump(mode="json") for record in self.gradients],
            "pause": asdict(self.pause),
        }

    @classmethod
    def load(cls, content: dict[str, Any]) -> TrainingState:
        """Restore a dumped state.

        Parameters
        ----------
        content : dict of str to object
            What :meth:`dump` returned.

        Returns
        -------
        TrainingState
            The state.
        """
        history = [EpochRecord(**record) for record in content["history"]]
        gradients = [GradientRecord(**record) for record in content["gradients"]]
        pause = EpochProgress(**content.get("pause", {}))
        restored = {"history": history, "gradients": gradients, "pause": pause}
        return cls(**{**content, **restored})

    @classmethod
    def read(cls, path: Path) -> TrainingState:
        """Read the state from a Lightning checkpoint.

        Parameters
        ----------
        path : Path
            Checkpoint that :class:`.CheckpointCallback` wrote.

        Returns
        -------
        TrainingState
            The state.

        Raises
        ------
        InputError
            If the file is not such a checkpoint.
        """
        try:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
            return cls.load(checkpoint[STATE_KEY])
        except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
            raise InputError(f"{path}: expected the state of a training") from error
