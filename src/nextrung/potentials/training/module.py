"""The training of one network for Lightning: steps, epochs and what they leave."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from nextrung.compute.fine_tuning import cool_learning_rate, plan_gradient_steps
from nextrung.potentials.training.batch_loss import LossEvaluator
from nextrung.potentials.training.gradients import record_gradients
from nextrung.potentials.training.losses import ErrorMeter
from nextrung.potentials.training.state import STATE_KEY, EpochProgress, TrainingState
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import EpochRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chgnet.model import CHGNet
    from torch import Tensor

    from nextrung.potentials.training.batch_loss import BatchLoss, MicroBatch
    from nextrung.schemas.fine_tuning import FineTuningSettings


class FineTuningModule(LightningModule):  # type: ignore[misc] # untyped base
    """A network under training.

    Parameters
    ----------
    model : CHGNet
        The network; the weights that require a gradient are trained, in place.
    settings : FineTuningSettings
        How it is trained.
    n_batches : int
        Batches per epoch.
    identity : str
        What tells this training from another.
    n_threads : int
        Parts of a batch computed at once.
    """

    def __init__(
        self,
        model: CHGNet,
        settings: FineTuningSettings,
        *,
        n_batches: int,
        identity: str,
        n_threads: int = 1,
    ) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.state = TrainingState(identity)
        self._n_batches = n_batches
        self._scorer = LossEvaluator(model, settings, n_threads)
        self._gradient_steps = set(plan_gradient_steps(n_batches, settings))
        self._train_errors = ErrorMeter()
        self._val_errors = ErrorMeter()
        self._started = 0.0

    @property
    def _n_steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self._n_batches * self.settings.epochs

    def configure_optimizers(self) -> dict[str, Any]:
        """Make Adam, cooled along a cosine at every step."""
        first = self.settings.learning_rate
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        optimizer = Adam(weights, lr=first, betas=(0.9, 0.999))
        scheduler = LambdaLR(
            optimizer,
            lambda step: cool_learning_rate(step, self._n_steps, self.settings) / first,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_train_start(self) -> None:
        """Start the clock, or go on where the epoch was interrupted."""
        self._start_epoch()
        done = self.state.pause
        self._started -= done.wall_time
        if done.n_batches and self.trainer.is_global_zero:
            self._train_errors.totals = torch.tensor(done.totals, dtype=torch.float64)

    def pause(self) -> None:
        """Take down where in the epoch the training is."""
        totals = self._sum_up(self._train_errors)
        self.state.pause = EpochProgress(
            n_batches=self.trainer.fit_loop.epoch_loop.batch_progress.current.ready,
            totals=totals.tolist(),
            wall_time=time.perf_counter() - self._started,
        )

    def training_step(self, parts: list[MicroBatch]) -> Tensor:
        """Compute the gradients of a batch part by part.

        Parameters
        ----------
        parts : list of MicroBatch
            The batch, cut into what memory holds.

        Returns
        -------
        Tensor, shape ()
            A stand-in for the loss that has these gradients, for Lightning to
            differentiate; every weight takes part in it, whatever the batch.
        """
        scores = self._scorer.differentiate(parts, self._count_labels(parts))
        self._note(scores, self._train_errors)
        weights = self._scorer.trained_weights()
        gradients = [torch.zeros_like(weight) for weight in weights]
        for score in scores:
            torch._foreach_add_(gradients, score.gradients)
        products = [(w * g).sum() for w, g in zip(weights, gradients, strict=True)]
        n_processes: int = self.trainer.world_size
        return torch.stack(products).sum() * n_processes

    def on_before_optimizer_step(self, _: Adam) -> None:
        """Record gradients at the chosen steps of the first epoch.

        Parameters
        ----------
        _ : Adam
            The optimiser, which is not read.
        """
        step = self.trainer.global_step
        if step in self._gradient_steps:
            fraction = step / self._n_batches
            self.state.gradients += record_gradients(self.model, step, fraction)

    def validation_step(self, parts: list[MicroBatch]) -> None:
        """Add the errors of a validation batch, without a graph of second order.

        Parameters
        ----------
        parts : list of MicroBatch
            The batch, cut into what memory holds.
        """
        scores = self._scorer.score(parts, self._count_labels(parts))
        self._note(scores, self._val_errors)

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
        self.state.pause = EpochProgress()
        self._start_epoch()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state to a checkpoint.

        Parameters
        ----------
        checkpoint : dict
            What Lightning is about to write.
        """
        checkpoint[STATE_KEY] = self.state.dump()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the state from a checkpoint.

        Parameters
        ----------
        checkpoint : dict
            What Lightning has read.
        """
        self.state = TrainingState.load(checkpoint[STATE_KEY])

    def _close_epoch(self) -> EpochRecord:
        """Sum the errors of all processes up."""
        for meter in (self._train_errors, self._val_errors):
            meter.totals = self._sum_up(meter)
            self._require_finite(meter.totals)
        last_step = self.trainer.global_step - 1
        return EpochRecord(
            epoch=len(self.state.history) + 1,
            learning_rate=cool_learning_rate(last_step, self._n_steps, self.settings),
            train=self._train_errors.mean(),
            val=self._val_errors.mean(),
            wall_time=time.perf_counter() - self._started,
        )

    def _sum_up(self, meter: ErrorMeter) -> Tensor:
        """Add up what all processes have measured."""
        totals = meter.totals.to(self.device, copy=True)
        summed: Tensor = self.trainer.strategy.reduce(totals, reduce_op="sum")
        return summed

    def _start_epoch(self) -> None:
        """Seed what an epoch may draw, start its clock and its means."""
        torch.manual_seed(self.settings.seed + len(self.state.history))
        self._train_errors.reset()
        self._val_errors.reset()
        self._started = time.perf_counter()

    def _count_labels(self, parts: list[MicroBatch]) -> Tensor:
        """Count the labels of a batch that all processes share."""
        none = torch.zeros(4, dtype=torch.int64, device=self.device)
        n_labels = sum((labels.count() for _, labels in parts), none)
        if self.trainer.world_size > 1:
            n_labels = self.all_gather(n_labels).sum(dim=0)
        return n_labels

    def _note(self, scores: Iterable[BatchLoss], meter: ErrorMeter) -> None:
        """Add the scores of a batch to the means of the epoch.

        The loss of a batch is the sum over processes, the recorded one their mean.
        """
        for score in scores:
            self._require_finite(score.loss)
            meter.add(score.deviations, score.loss * self.trainer.world_size)
        meter.close_batch()

    def _require_finite(self, values: Tensor) -> None:
        """Stop a training whose loss is lost."""
        if not torch.isfinite(values).all():
            raise InputError(
                f"epoch {len(self.state.history) + 1}: expected a finite loss, got a "
                f"diverged training; learning_rate {self.settings.learning_rate} may "
                f"be too high"
            )

    def _is_best(self, record: EpochRecord) -> bool:
        """Tell whether an epoch has the lowest validation energy error so far."""
        errors = [epoch.val.energy_mae for epoch in [*self.state.history, record]]
        return errors[-1] == min(e for e in errors if e is not None) and (
            errors.index(errors[-1]) == len(errors) - 1
        )
