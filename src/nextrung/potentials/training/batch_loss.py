"""Losses and gradients of the micro-batches of a batch, several at once on threads.

A micro-batch that runs out of memory is computed in halves: losses and gradients are
sums over micro-batches, so that the step stays that of the whole batch.
"""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.denormals import flush_denormals
from nextrung.potentials.devices import try_within_memory
from nextrung.potentials.training.losses import compare_outputs, weigh_loss
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import Precision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nextrung.potentials.interface import Outputs, TrainableBackend
    from nextrung.potentials.training.losses import Deviations
    from nextrung.potentials.training.micro_batches import MicroBatch
    from nextrung.schemas.fine_tuning import FineTuningSettings

logger = logging.getLogger("nextrung")


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """Loss of a micro-batch.

    Parameters
    ----------
    deviations : Deviations
        Sums over the labels of the micro-batch.
    loss : Tensor, shape ()
        Its contribution to the loss of the batch.
    gradients : tuple of Tensor
        Its contribution to the gradient of each trained weight; empty in validation.
    """

    deviations: Deviations
    loss: Tensor
    gradients: tuple[Tensor, ...] = field(default=())


class LossEvaluator:
    """Evaluates the losses of micro-batches.

    The result does not depend on the number of threads: each micro-batch is computed by
    one thread, and sums are taken in the order of the micro-batches. The input tensors
    are built on the device of the network, in the precision of the settings.

    Parameters
    ----------
    backend : TrainableBackend
        The network.
    settings : FineTuningSettings
        Weights and shape of the loss.
    n_threads : int
        Micro-batches computed at once.
    """

    def __init__(
        self,
        backend: TrainableBackend,
        settings: FineTuningSettings,
        n_threads: int = 1,
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._n_threads = n_threads
        double = settings.precision is Precision.FLOAT64
        self._dtype = torch.float64 if double else torch.float32
        self._max_cost = sys.maxsize

    def evaluate(
        self, micro_batches: Sequence[MicroBatch], n_labels: Tensor
    ) -> list[BatchLoss]:
        """Compute losses, with their gradients if torch's grad mode is enabled.

        Parameters
        ----------
        micro_batches : sequence of MicroBatch
            Inputs and labels of each micro-batch.
        n_labels : Tensor, shape (4,)
            Labels of each property in the whole batch.

        Returns
        -------
        list of BatchLoss
            One per micro-batch, in their order; two or more for one that did not fit
            the memory.

        Raises
        ------
        InputError
            If a single frame does not fit the memory.
        """
        differentiable = torch.is_grad_enabled()  # which is local to this thread
        evaluate = self._differentiate if differentiable else self._evaluate
        apply = partial(self._evaluate_or_halve, partial(evaluate, n_labels))
        n_threads = min(self._n_threads, len(micro_batches))
        if n_threads <= 1:
            return list(chain.from_iterable(map(apply, micro_batches)))
        use_one_core = partial(torch.set_num_threads, 1)
        with ThreadPoolExecutor(n_threads, initializer=use_one_core) as pool:
            return list(chain.from_iterable(pool.map(apply, micro_batches)))

    def trained_weights(self) -> list[torch.nn.Parameter]:
        """List the weights that are trained, in the order of the gradients."""
        return [
            weight
            for weight in self._backend.module.parameters()
            if weight.requires_grad
        ]

    def _evaluate_or_halve(
        self, evaluate: Callable[[MicroBatch], BatchLoss], micro_batch: MicroBatch
    ) -> list[BatchLoss]:
        """Evaluate a micro-batch, or its halves if memory runs out."""
        parts = micro_batch.split(self._max_cost)
        if len(parts) == 1:
            loss = try_within_memory(partial(evaluate, micro_batch))
            if loss is not None:
                return [loss]
            parts = self._halve(micro_batch)
        return [loss for p in parts for loss in self._evaluate_or_halve(evaluate, p)]

    def _halve(self, micro_batch: MicroBatch) -> list[MicroBatch]:
        """Halve a micro-batch that does not fit the memory, and all later ones."""
        n_frames, cost = len(micro_batch.frames), micro_batch.cost
        if n_frames == 1:
            raise InputError(
                f"expected frames that fit the memory of {self._backend.device} in a "
                f"training, got {micro_batch.frames.frame_ids[0]} of "
                f"{micro_batch.frames.n_atoms[0]} atoms, cost {cost}: leave it out"
            )
        self._max_cost = min(self._max_cost, max(1, cost // 2))
        logger.warning(
            "out of memory: micro-batches of the training have a cost of at most %d "
            "instead of %d; their sums stay those of the whole batch",
            self._max_cost,
            cost,
        )
        middle = n_frames // 2
        return [micro_batch[:middle], micro_batch[middle:]]

    @flush_denormals()
    def _differentiate(self, n_labels: Tensor, micro_batch: MicroBatch) -> BatchLoss:
        """Compute a loss and its gradients; zero for weights it does not depend on."""
        evaluated = self._evaluate(n_labels, micro_batch, differentiable=True)
        gradients = torch.autograd.grad(
            evaluated.loss,
            self.trained_weights(),
            allow_unused=True,
            materialize_grads=True,
        )
        return replace(evaluated, loss=evaluated.loss.detach(), gradients=gradients)

    def _evaluate(
        self,
        n_labels: Tensor,
        micro_batch: MicroBatch,
        *,
        differentiable: bool = False,
    ) -> BatchLoss:
        """Compute the loss of a micro-batch."""
        backend = self._backend
        batch, labels = micro_batch.to(backend, backend.device, self._dtype)
        predict = backend.differentiate if differentiable else backend.evaluate
        outputs: Outputs = predict(batch, backend.properties)
        delta = self._settings.huber_delta
        deviations = compare_outputs(outputs, batch.n_atoms, labels, huber_delta=delta)
        return BatchLoss(deviations, weigh_loss(deviations, n_labels, self._settings))
