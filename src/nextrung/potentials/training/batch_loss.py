"""Losses and gradients of the micro-batches of a batch, several at once on threads.

A micro-batch that runs out of memory is computed in halves: losses and gradients are
sums over micro-batches, so that the step stays that of the whole batch.
"""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.denormals import flush_denormals
from nextrung.potentials.devices import try_within_memory
from nextrung.potentials.prediction import PROPERTIES
from nextrung.potentials.training.losses import compare_outputs, weigh_loss
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import Precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from nextrung.potentials.interface import Outputs, TrainableBackend
    from nextrung.potentials.training.losses import Deviations
    from nextrung.potentials.training.micro_batches import MicroBatch
    from nextrung.potentials.training.penalties import Penalty
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
    weights : sequence of Parameter
        Weights of the network that losses are differentiated by.
    n_threads : int
        Micro-batches computed at once.
    properties : tuple of (str, str)
        Letters of the properties that have targets in the training, and of those that
        have labels in the validation; others are not computed.
    penalties : sequence of Penalty
        Terms of the loss that depend on the weights alone.
    """

    def __init__(
        self,
        backend: TrainableBackend,
        settings: FineTuningSettings,
        weights: Sequence[torch.nn.Parameter],
        *,
        n_threads: int = 1,
        properties: tuple[str, str] = (PROPERTIES, PROPERTIES),
        penalties: Sequence[Penalty] = (),
    ) -> None:
        self._backend = backend
        self._trained, self._scored = (
            "".join(each for each in backend.properties if each in wanted)
            for wanted in properties
        )
        self._penalties = penalties
        self._settings = settings
        self._weights = weights
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
            Weights of the targets of each property in the whole batch.

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
        with _require_gradients(self._weights if differentiable else ()):
            return self._map(apply, micro_batches)

    def add_penalties(
        self, gradients: list[Tensor], weights: Sequence[Tensor], share: float
    ) -> None:
        """Add the gradients of the penalties, in place.

        Parameters
        ----------
        gradients : list of Tensor
            Gradient of the loss by each trained weight.
        weights : sequence of Tensor
            Trained weights.
        share : float
            Fraction that this rank adds; the gradients of all ranks are summed.
        """
        for penalty in self._penalties:
            penalty.add_gradients(gradients, weights, share)

    def _map(
        self,
        apply: Callable[[MicroBatch], list[BatchLoss]],
        micro_batches: Sequence[MicroBatch],
    ) -> list[BatchLoss]:
        """Compute the losses of micro-batches, several at once."""
        n_threads = min(self._n_threads, len(micro_batches))
        if n_threads <= 1:
            return list(chain.from_iterable(map(apply, micro_batches)))
        use_one_core = partial(torch.set_num_threads, 1)
        with ThreadPoolExecutor(n_threads, initializer=use_one_core) as pool:
            return list(chain.from_iterable(pool.map(apply, micro_batches)))

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
            self._weights,
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
        properties = self._trained if differentiable else self._scored
        outputs: Outputs = predict(batch, properties)
        delta = self._settings.huber_delta
        deviations = compare_outputs(outputs, batch.n_atoms, labels, huber_delta=delta)
        return BatchLoss(deviations, weigh_loss(deviations, n_labels, self._settings))


@contextmanager
def _require_gradients(weights: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """Make weights require gradients for a while.

    Those that are functions of the parameters of the optimiser do not require them
    otherwise: ranks of a distributed training would wait for their gradients.
    """
    required = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad = True
    try:
        yield
    finally:
        for weight, before in zip(weights, required, strict=True):
            weight.requires_grad = before
