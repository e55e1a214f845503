"""What a training leaves after each epoch, and how it is kept."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import EpochRecord, GradientRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning.pytorch import LightningModule, Trainer

#: Place of the training state in a Lightning checkpoint.
STATE_KEY = "nextrung"


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
    """

    identity: str = ""
    history: list[EpochRecord] = field(default_factory=list)
    gradients: list[GradientRecord] = field(default_factory=list)
    best_epoch: int | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """Turn the state into plain values and tensors."""
        return {
            **vars(self),
            "history": [record.model_dump(mode="json") for record in self.history],
            "gradients": [record.model_dump(mode="json") for record in self.gradients],
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
        return cls(**{**content, "history": history, "gradients": gradients})

    @classmethod
    def read(cls, path: Path) -> TrainingState:
        """Read the state from a Lightning checkpoint.

        Parameters
        ----------
        path : Path
            Checkpoint that :class:`EpochKeeper` wrote.

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


class EpochKeeper(Checkpoint):  # type: ignore[misc] # untyped base
    """Keeps the state of the training after each epoch, whole or not at all.

    Parameters
    ----------
    path : Path
        File of the state.
    on_epoch : callable, optional
        Told of every epoch once it is kept.
    """

    def __init__(
        self, path: Path, on_epoch: Callable[[EpochRecord], None] | None
    ) -> None:
        self.path = path
        self._on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the kept state by that of the epoch that ends.

        Parameters
        ----------
        trainer : Trainer
            What trains.
        pl_module : Training
            What is trained.
        """
        unfinished = self.path.with_suffix(".unfinished")
        trainer.save_checkpoint(unfinished)
        if trainer.is_global_zero:
            unfinished.replace(self.path)
            if self._on_epoch is not None:
                self._on_epoch(pl_module.state.history[-1])
        trainer.strategy.barrier("epoch kept")
