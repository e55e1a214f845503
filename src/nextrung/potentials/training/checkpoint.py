"""Callback that writes the checkpoint of a training after each epoch."""

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
    """Writes the checkpoint after each epoch, atomically.

    A training that receives a request to stop writes it after the present batch, and
    stops.

    Parameters
    ----------
    path : Path
        Checkpoint.
    on_epoch : callable, optional
        Called with the record of each epoch once its checkpoint is written.
    request : StopRequest, optional
        Request to stop; if one rank receives it, all stop.
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
        """Stop on request, unless the epoch ends with this batch.

        Parameters
        ----------
        trainer : Trainer
            Trainer.
        pl_module : FineTuningModule
            Module.
        *_batch : object
            Outputs, batch and index; not used.
        """
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        if self._should_stop(trainer):
            pl_module.record_progress()
            self._write(trainer)
            raise Interrupted

    def on_train_epoch_end(self, trainer: Trainer, pl_module: FineTuningModule) -> None:
        """Write the checkpoint of the epoch, and stop on request.

        Parameters
        ----------
        trainer : Trainer
            Trainer.
        pl_module : FineTuningModule
            Module.
        """
        self._write(trainer)
        if trainer.is_global_zero and self._on_epoch is not None:
            self._on_epoch(pl_module.state.history[-1])
        if self._should_stop(trainer):
            raise Interrupted

    def _should_stop(self, trainer: Trainer) -> bool:
        """Return whether any rank has received a request to stop."""
        requested = bool(self._request.signum)
        if trainer.world_size == 1:
            return requested
        decision: bool = trainer.strategy.reduce_boolean_decision(requested, all=False)
        return decision

    def _write(self, trainer: Trainer) -> None:
        """Replace the checkpoint, once the new one is on the disk."""
        try:
            with atomic_write(self.path) as file:
                trainer.save_checkpoint(file)
        except OSError as error:
            raise InputError(
                f"expected disk space for the checkpoint {self.path}, got: "
                f"{error.strerror}"
            ) from error
        trainer.strategy.barrier("checkpoint written")
