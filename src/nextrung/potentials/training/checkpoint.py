"""Checkpoints of a training: when they are written, and recovery of damaged ones."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import CheckpointIO

from nextrung.atomic_write import atomic_write
from nextrung.checked_files import (
    DamagedFileError,
    append_checksum,
    read_checked,
    set_aside,
)
from nextrung.potentials.training.graceful_stop import Interrupted, StopRequest
from nextrung.potentials.training.state import TrainingState
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning.pytorch import Trainer

    from nextrung.potentials.training.module import FineTuningModule
    from nextrung.schemas.fine_tuning import EpochRecord

#: Checkpoint before the last one, beside it.
PREVIOUS_FILE: Final = "previous.ckpt"
#: Interval of checkpoints within an epoch, in s.
CHECKPOINT_INTERVAL: Final = 60.0


class CheckedCheckpointIO(CheckpointIO):  # type: ignore[misc] # untyped base
    """Lightning plugin of checkpoints that end with a checksum."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: object = None,  # noqa: ARG002 - Lightning's interface
    ) -> None:
        """Write a checkpoint with its checksum.

        Parameters
        ----------
        checkpoint : dict
            Content of the checkpoint.
        path : str or Path
            File to write.
        storage_options : object, optional
            Not used.
        """
        buffer = BytesIO()
        torch.save(checkpoint, buffer)
        Path(path).write_bytes(append_checksum(buffer.getvalue()))

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,  # noqa: ANN401 - as torch.load
        weights_only: bool | None = None,  # noqa: ARG002, FBT001 - Lightning's interface
    ) -> dict[str, Any]:
        """Read a checkpoint and verify its checksum.

        Parameters
        ----------
        path : str or Path
            File to read.
        map_location : object, optional
            Device of the tensors, as of ``torch.load``.
        weights_only : bool, optional
            Not used: no code in the file can run.

        Returns
        -------
        dict
            Content of the checkpoint.
        """
        content = BytesIO(read_checked(Path(path)))
        checkpoint: dict[str, Any] = torch.load(
            content, map_location=map_location, weights_only=True
        )
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint.

        Parameters
        ----------
        path : str or Path
            File to remove.
        """
        Path(path).unlink(missing_ok=True)


def recover_checkpoint(path: Path) -> TrainingState | None:
    """Read the state of the last undamaged checkpoint, and rename it to the last.

    Parameters
    ----------
    path : Path
        The last checkpoint; the one before it is beside it.

    Returns
    -------
    TrainingState or None
        The state; None where there is no undamaged checkpoint.

    Notes
    -----
    A damaged checkpoint is set aside with a warning.
    """
    previous = path.with_name(PREVIOUS_FILE)
    for candidate in (path, previous):
        if not candidate.exists():
            continue
        try:
            state = TrainingState.read(candidate)
        except DamagedFileError:
            has_other = candidate == path and previous.exists()
            origin = PREVIOUS_FILE if has_other else "the start"
            set_aside(candidate, f"the training resumes from {origin}")
            continue
        candidate.replace(path)
        return state
    return None


class CheckpointCallback(Checkpoint):  # type: ignore[misc] # untyped base
    """Writes the checkpoint after each epoch and at intervals, atomically.

    A training that receives a request to stop writes it after the present batch, and
    stops. The checkpoint before the last one is kept.

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
        self._written_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: FineTuningModule, *_batch: object
    ) -> None:
        """Write the checkpoint when it is due, unless the epoch ends with this batch.

        It is due after an interval, and on a request to stop.

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
        is_due = time.monotonic() - self._written_at >= CHECKPOINT_INTERVAL
        if _of_any_rank(trainer, is_due or bool(self._request.signum)):
            pl_module.record_progress()
            self._write(trainer)
            self._stop_on_request(trainer)

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
        self._stop_on_request(trainer)

    def _stop_on_request(self, trainer: Trainer) -> None:
        """Raise Interrupted if any rank has received a request to stop."""
        if _of_any_rank(trainer, bool(self._request.signum)):
            raise Interrupted

    def _write(self, trainer: Trainer) -> None:
        """Replace the checkpoint, once the new one is written; keep the one before."""
        try:
            with atomic_write(self.path) as file:
                trainer.save_checkpoint(file)
                if file.exists() and self.path.exists():  # on rank 0 only
                    self.path.replace(self.path.with_name(PREVIOUS_FILE))
        except OSError as error:
            raise InputError(
                f"expected disk space for the checkpoint {self.path}, got: "
                f"{error.strerror}"
            ) from error
        trainer.strategy.barrier("checkpoint written")
        self._written_at = time.monotonic()


def _of_any_rank(trainer: Trainer, decision: bool) -> bool:  # noqa: FBT001
    """Return whether a decision of any rank is true."""
    if trainer.world_size == 1:
        return decision
    reduced: bool = trainer.strategy.reduce_boolean_decision(decision, all=False)
    return reduced
