"""Lightning module of a training: steps, epochs and their records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from nextrung.compute.fine_tuning import cool_learning_rate, plan_gradient_steps
from nextrung.potentials.training.gradients import attach_gradients, record_gradients
from nextrung.potentials.training.losses import ErrorMeter
from nextrung.potentials.training.state import STATE_KEY, EpochProgress, TrainingState
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import EpochRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from nextrung.potentials.interface import TrainableBackend
    from nextrung.potentials.training.batch_loss import BatchLoss, LossEvaluator
    from nextrung.potentials.training.micro_batches import MicroBatch
    from nextrung.potentials.training.trained_weights import TrainedWeights
    from nextrung.schemas.fine_tuning import FineTuningSettings


#: Steps between checks of the losses; each waits for the device. A diverged training
#: also ends at the next checkpoint and at the end of its epoch.
CHECK_INTERVAL = 32


class FineTuningModule(LightningModule):  # type: ignore[misc] # untyped base
    """A network under training.

    Parameters
    ----------
    backend : TrainableBackend
        The network, which is trained in place.
    trained : TrainedWeights
        Its weights that are trained.
    settings : FineTuningSettings
        Settings of the training.
    n_batches : int
        Batches per epoch.
    identity : str
        String that differs between trainings with other data or settings.
    loss_evaluator : LossEvaluator
        Evaluator of the losses of these weights.
    """

    def __init__(
        self,
        backend: TrainableBackend,
        trained: TrainedWeights,
        settings: FineTuningSettings,
        *,
        n_batches: int,
        identity: str,
        loss_evaluator: LossEvaluator,
    ) -> None:
        super().__init__()
        self.backend = backend
        self.model = backend.module
        self.trained = trained
        self.settings = settings
        self.state = TrainingState(identity)
        self._n_batches = n_batches
        self._loss_evaluator = loss_evaluator
        self._gradient_steps = set(plan_gradient_steps(n_batches, settings))
        self._train_errors = ErrorMeter()
        self._val_errors = ErrorMeter()
        self._started = 0.0

    @property
    def _n_steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self._n_batches * self.settings.epochs

    def configure_optimizers(self) -> dict[str, Any]:
        """Make Adam and the cosine schedule of its learning rate, by step."""
        first = self.settings.learning_rate
        parameters = self.trained.list_optimised()
        optimizer = Adam(parameters, lr=first, betas=(0.9, 0.999))
        scheduler = LambdaLR(
            optimizer,
            lambda step: cool_learning_rate(step, self._n_steps, self.settings) / first,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_train_start(self) -> None:
        """Start the epoch, or resume an interrupted one."""
        self._start_epoch()
        progress = self.state.epoch_progress
        self._started -= progress.wall_time
        if progress.n_batches and self.trainer.is_global_zero:
            totals = torch.tensor(progress.totals, dtype=torch.float64)
            self._train_errors.totals = totals

    def record_progress(self) -> None:
        """Record the progress of the epoch in the state."""
        totals = self._reduce(self._train_errors)
        self._check_finite(totals)
        self.state.epoch_progress = EpochProgress(
            n_batches=self.trainer.fit_loop.epoch_loop.batch_progress.current.ready,
            totals=totals.tolist(),
            wall_time=time.perf_counter() - self._started,
        )

    def training_step(self, micro_batches: list[MicroBatch]) -> Tensor:
        """Compute the gradients of a batch.

        Parameters
        ----------
        micro_batches : list of MicroBatch
            Inputs and labels of the batch.

        Returns
        -------
        Tensor, shape ()
            The loss, whose derivatives are these gradients, for Lightning to
            differentiate by the parameters of the optimiser.
        """
        n_labels = self._count_labels(micro_batches)
        losses = self._loss_evaluator.evaluate(micro_batches, n_labels)
        self._add_errors(losses, self._train_errors)
        weights = self.trained.values()
        gradients = [torch.zeros_like(weight) for weight in weights]
        for loss in losses:
            torch._foreach_add_(gradients, loss.gradients)
        n_processes: int = self.trainer.world_size
        self._loss_evaluator.add_penalties(gradients, weights, 1 / n_processes)
        total = sum((each.loss for each in losses), torch.zeros((), device=self.device))
        return attach_gradients(total, weights, gradients) * n_processes

    def optimizer_step(self, *step: Any) -> None:  # noqa: ANN401 - Lightning's interface
        """Change the parameters of the optimiser, and the network with them.

        Parameters
        ----------
        *step : object
            Epoch, batch, optimiser and closure.
        """
        super().optimizer_step(*step)
        self.trained.update()

    def on_before_optimizer_step(self, _: Adam) -> None:
        """Check the losses at intervals; record gradients at steps of the first epoch.

        Parameters
        ----------
        _ : Adam
            Optimiser; not used.
        """
        step = self.trainer.global_step
        recorded = step in self._gradient_steps
        if recorded or step % CHECK_INTERVAL == 0:
            self._check_finite(self._train_errors.totals)
        if recorded:
            fraction = step / self._n_batches
            self.state.gradients += record_gradients(self.backend, step, fraction)

    def validation_step(self, micro_batches: list[MicroBatch]) -> None:
        """Add the errors of a validation batch.

        Parameters
        ----------
        micro_batches : list of MicroBatch
            Inputs and labels of the batch.
        """
        n_labels = self._count_labels(micro_batches)
        losses = self._loss_evaluator.evaluate(micro_batches, n_labels)
        self._add_errors(losses, self._val_errors)

    def on_train_epoch_end(self) -> None:
        """Record the epoch and keep its weights if they are the best so far."""
        record = self._close_epoch()
        if self._is_best(record):
            self.state.best_epoch = record.epoch
            self.state.best_weights = {
                name: weight.detach().cpu().clone()
                for name, weight in self.model.state_dict().items()
            }
        self.state.history.append(record)
        self.state.epoch_progress = EpochProgress()
        self._start_epoch()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state to a checkpoint.

        Parameters
        ----------
        checkpoint : dict
            Content that Lightning writes.
        """
        checkpoint[STATE_KEY] = self.state.dump()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state from a checkpoint.

        Parameters
        ----------
        checkpoint : dict
            Content that Lightning has read.
        """
        self.state = TrainingState.load(checkpoint[STATE_KEY])

    def _close_epoch(self) -> EpochRecord:
        """Build the record of an epoch from the errors of all ranks."""
        for meter in (self._train_errors, self._val_errors):
            meter.totals = self._reduce(meter)
            self._check_finite(meter.totals)
        last_step = self.trainer.global_step - 1
        return EpochRecord(
            epoch=len(self.state.history) + 1,
            learning_rate=cool_learning_rate(last_step, self._n_steps, self.settings),
            train=self._train_errors.mean(),
            val=self._val_errors.mean(),
            wall_time=time.perf_counter() - self._started,
        )

    def _reduce(self, meter: ErrorMeter) -> Tensor:
        """Sum the totals of all ranks."""
        totals = meter.totals.to(self.device, copy=True)
        summed: Tensor = self.trainer.strategy.reduce(totals, reduce_op="sum")
        return summed

    def _start_epoch(self) -> None:
        """Seed the random numbers of an epoch, reset its errors and its clock."""
        torch.manual_seed(self.settings.seed + len(self.state.history))
        self._train_errors.reset()
        self._val_errors.reset()
        self._started = time.perf_counter()

    def _count_labels(self, micro_batches: list[MicroBatch]) -> Tensor:
        """Sum the weights of the targets of a batch of all ranks."""
        none = torch.zeros(4, dtype=torch.float64)
        n_labels = sum((each.labels.count() for each in micro_batches), none)
        n_labels = n_labels.to(self.device)
        if self.trainer.world_size > 1:
            n_labels = self.all_gather(n_labels).sum(dim=0)
        return n_labels

    def _add_errors(self, losses: Iterable[BatchLoss], meter: ErrorMeter) -> None:
        """Add the losses of a batch to the means of the epoch.

        The loss of a batch is the sum over ranks, the recorded one their mean.
        """
        for loss in losses:
            meter.add(loss.deviations, loss.loss * self.trainer.world_size)
        meter.close_batch()

    def _check_finite(self, values: Tensor) -> None:
        """Raise an exception if a training has diverged."""
        if not torch.isfinite(values).all():
            raise InputError(
                f"epoch {len(self.state.history) + 1}: expected a finite loss, got a "
                f"diverged training; learning_rate {self.settings.learning_rate} may "
                f"be too high"
            )

    def _is_best(self, record: EpochRecord) -> bool:
        """Return whether an epoch has the lowest validation energy error so far."""
        errors = [epoch.val.energy_mae for epoch in [*self.state.history, record]]
        return errors[-1] == min(e for e in errors if e is not None) and (
            errors.index(errors[-1]) == len(errors) - 1
        )
