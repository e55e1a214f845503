"""The training of one network for Lightning: steps, epochs and what they leave."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Checkpoint
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from nextrung.compute.fine_tuning import cool_learning_rate, plan_gradient_steps
from nextrung.potentials.chgnet import predict_batch, predict_differentiably
from nextrung.potentials.gradients import record_gradients
from nextrung.potentials.losses import (
    ErrorMeter,
    Properties,
    compare_outputs,
    weigh_loss,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import EpochRecord, GradientRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chgnet.model import CHGNet
    from lightning.pytorch import Trainer
    from torch import Tensor

    from nextrung.potentials.chgnet import Outputs
    from nextrung.potentials.graphs import GraphBatch
    from nextrung.potentials.losses import Deviations
    from nextrung.schemas.fine_tuning import FineTuningSettings

#: Place of the training state in a Lightning checkpoint.
_STATE_KEY = "nextrung"

_Part = tuple["GraphBatch", "Properties"]


@dataclass(eq=False)
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
            return cls.load(checkpoint[_STATE_KEY])
        except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
            raise InputError(f"{path}: expected the state of a training") from error


class Training(LightningModule):  # type: ignore[misc] # untyped base
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
    """

    def __init__(
        self,
        model: CHGNet,
        settings: FineTuningSettings,
        *,
        n_batches: int,
        identity: str,
    ) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.state = TrainingState(identity)
        self._n_batches = n_batches
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
        """Start the clock and forget what an interrupted epoch left."""
        self._start_epoch()

    def training_step(self, parts: list[_Part]) -> Tensor:
        """Compute the gradients of a batch part by part.

        Returns
        -------
        Tensor, shape ()
            A stand-in for the loss that has these gradients, for Lightning to
            differentiate; every weight takes part in it, whatever the batch.
        """
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        gradients = [torch.zeros_like(weight) for weight in weights]
        n_labels = self._count_labels(parts)
        for graphs, labels in parts:
            outputs = predict_differentiably(self.model, graphs, "efsm")
            deviations = self._compare(outputs, graphs, labels)
            loss = self._weigh(deviations, n_labels)
            self._train_errors.add(deviations, loss)
            found = torch.autograd.grad(loss, weights, allow_unused=True)
            for gradient, addend in zip(gradients, found, strict=True):
                if addend is not None:
                    gradient.add_(addend)
        self._train_errors.close_batch()
        products = [(w * g).sum() for w, g in zip(weights, gradients, strict=True)]
        return torch.stack(products).sum()

    def on_before_optimizer_step(self, _: Adam) -> None:
        """Record gradients at the chosen steps of the first epoch."""
        step = self.trainer.global_step
        if step in self._gradient_steps:
            fraction = step / self._n_batches
            self.state.gradients += record_gradients(self.model, step, fraction)

    def validation_step(self, parts: list[_Part]) -> None:
        """Add the errors of a validation batch, without a graph of second order."""
        n_labels = self._count_labels(parts)
        for graphs, labels in parts:
            with torch.enable_grad():
                outputs = predict_batch(self.model, graphs, "efsm")
            deviations = self._compare(outputs, graphs, labels)
            self._val_errors.add(deviations, self._weigh(deviations, n_labels))
        self._val_errors.close_batch()

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
        self._start_epoch()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state to a checkpoint."""
        checkpoint[_STATE_KEY] = self.state.dump()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the state from a checkpoint."""
        self.state = TrainingState.load(checkpoint[_STATE_KEY])

    def _close_epoch(self) -> EpochRecord:
        """Sum the errors of all processes up."""
        for meter in (self._train_errors, self._val_errors):
            meter.totals = self.trainer.strategy.reduce(meter.totals, reduce_op="sum")
            self._require_finite(meter.totals)
        last_step = self.trainer.global_step - 1
        return EpochRecord(
            epoch=len(self.state.history) + 1,
            learning_rate=cool_learning_rate(last_step, self._n_steps, self.settings),
            train=self._train_errors.mean(),
            val=self._val_errors.mean(),
            wall_time=time.perf_counter() - self._started,
        )

    def _start_epoch(self) -> None:
        """Seed what an epoch may draw, start its clock and its means."""
        torch.manual_seed(self.settings.seed + len(self.state.history))
        self._train_errors.reset()
        self._val_errors.reset()
        self._started = time.perf_counter()

    def _count_labels(self, parts: list[_Part]) -> Tensor:
        """Count the labels of a batch that all processes share."""
        none = torch.zeros(4, dtype=torch.int64, device=self.device)
        n_labels = sum((labels.count() for _, labels in parts), none)
        if self.trainer.world_size > 1:
            n_labels = self.all_gather(n_labels).sum(dim=0)
        return n_labels

    def _compare(
        self, outputs: Outputs, graphs: GraphBatch, labels: Properties
    ) -> Deviations:
        """Compare what the network says of a part of a batch to the labels."""
        delta = self.settings.huber_delta
        return compare_outputs(outputs, graphs.n_atoms, labels, huber_delta=delta)

    def _weigh(self, deviations: Deviations, n_labels: Tensor) -> Tensor:
        """Weigh a part of a batch; the mean over all processes is its loss."""
        n_processes: int = self.trainer.world_size
        loss = weigh_loss(deviations, n_labels, self.settings) * n_processes
        self._require_finite(loss)
        return loss

    def _require_finite(self, values: Tensor) -> None:
        """Stop a training whose loss is lost."""
        if not torch.isfinite(values).all():
            raise InputError(
                f"epoch {len(self.state.history) + 1}: expected a finite loss, met a "
                f"diverged training; learning_rate {self.settings.learning_rate} may "
                f"be too high"
            )

    def _is_best(self, record: EpochRecord) -> bool:
        """Tell whether an epoch has the lowest validation energy error so far."""
        errors = [epoch.val.energy_mae for epoch in [*self.state.history, record]]
        return errors[-1] == min(e for e in errors if e is not None) and (
            errors.index(errors[-1]) == len(errors) - 1
        )


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

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Training) -> None:
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
