"""Callback that writes the state of a training after each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Checkpoint

from nextrung.atomic_write import atomic_write
from nextrung.potentials.training.graceful_stop import Interrupted, StopRequest
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning.pytorch import Trainer

    from nextrung.potentials.training.module import FineTuningModule
    from nextrung.schemas.fine_tuning import EpochRecord


class CheckpointCallback(Checkpoint):  # type: ignore[misc] # untyped base
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
        self, trainer: Trainer, pl_module: FineTuningModule, *_batch: object
    ) -> None:
        """Stop here, if the training is asked to and the epoch goes on.

        Parameters
        ----------
        trainer : Trainer
            What trains.
        pl_module : FineTuningModule
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

    def on_train_epoch_end(self, trainer: Trainer, pl_module: FineTuningModule) -> None:
        """Replace the kept state by that of the epoch that ends.

        Parameters
        ----------
        trainer : Trainer
            What trains.
        pl_module : FineTuningModule
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
        try:
            with atomic_write(self.path) as file:
                trainer.save_checkpoint(file)
        except OSError as error:
            raise InputError(
                f"expected disk space for the checkpoint {self.path}, got: "
                f"{error.strerror}"
            ) from error
        trainer.strategy.barrier("state kept")
