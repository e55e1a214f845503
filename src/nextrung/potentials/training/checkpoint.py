"""What a training leaves after each epoch, and how it is kept."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from nextrung.potentials.training.graceful_stop import Interrupted, StopRequest
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import EpochRecord, GradientRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning.pytorch import Trainer

    from nextrung.potentials.training.module import Training

#: Place of the training state in a Lightning checkpoint.
STATE_KEY = "nextrung"


@dataclass(frozen=True)
class Pause:
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
    pause : Pause
        Where in the next epoch it stopped.
    """

    identity: str = ""
    history: list[EpochRecord] = field(default_factory=list)
    gradients: list[GradientRecord] = field(default_factory=list)
    best_epoch: int | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    pause: Pause = field(default_factory=Pause)

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
        pause = Pause(**content.get("pause", {}))
        restored = {"history": history, "gradients": gradients, "pause": pause}
        return cls(**{**content, **restored})

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

    A training that is asked to stop is kept at the end of its batch, and stops there.

    Parameters
    ----------
    path : Path
        File of the state.
    on_epoch : callable, optional
        Told of every epoch once it is kept.
    request : StopRequest, optional
        Whether to stop; what one process is asked, all do.
    """

    def __init__(
        self,
        path: Path,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        request: StopRequest | None = None,
    ) -> None:
        self.path = path
        self._on_epoch = on_epoch
        self._request = request or StopRequest()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Training, *_batch: object
    ) -> None:
        """Stop here, if the training is asked to and the epoch goes on.

        Parameters
        ----------
        trainer : Trainer
            What trains.
        pl_module : Training
            What is trained.
        *_batch : object
            The batch and what came of it, which are not read.
        """
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        if self._is_asked_to_stop(trainer):
            pl_module.pause()
            self._keep(trainer)
            raise Interrupted

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Training) -> None:
        """Replace the kept state by that of the epoch that ends.

        Parameters
        ----------
        trainer : Trainer
            What trains.
        pl_module : Training
            What is trained.
        """
        self._keep(trainer)
        if trainer.is_global_zero and self._on_epoch is not None:
            self._on_epoch(pl_module.state.history[-1])
        if self._is_asked_to_stop(trainer):
            raise Interrupted

    def _is_asked_to_stop(self, trainer: Trainer) -> bool:
        """Tell whether any process is asked to stop."""
        asked = bool(self._request.signum)
        if trainer.world_size == 1:
            return asked
        stops: bool = trainer.strategy.reduce_boolean_decision(asked, all=False)
        return stops

    def _keep(self, trainer: Trainer) -> None:
        """Replace the kept state, once the new one is on the disk."""
        unfinished = self.path.with_suffix(".unfinished")
        try:
            trainer.save_checkpoint(unfinished)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise InputError(
                f"expected room for the state of a training in {self.path}, met: "
                f"{error.strerror}"
            ) from error
        if trainer.is_global_zero:
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        trainer.strategy.barrier("state kept")
