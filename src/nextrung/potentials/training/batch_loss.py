"""Losses and gradients of the micro-batches of a batch, several at once on threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.denormals import flush_denormals
from nextrung.potentials.prediction import PROPERTIES
from nextrung.potentials.training.losses import compare_outputs, weigh_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from nextrung.potentials.interface import Batch, Outputs, TrainableBackend
    from nextrung.potentials.training.losses import Deviations, Properties
    from nextrung.potentials.training.penalties import Penalty
    from nextrung.schemas.fine_tuning import FineTuningSettings

    #: A micro-batch on the device.
    LabelledBatch = tuple[Batch, Properties]


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
    one thread, and sums are taken in the order of the micro-batches.

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

    def evaluate(
        self, micro_batches: Sequence[LabelledBatch], n_labels: Tensor
    ) -> list[BatchLoss]:
        """Compute losses, with their gradients if torch's grad mode is enabled.

        Parameters
        ----------
        micro_batches : sequence of (Batch, Properties)
            Inputs and labels of each micro-batch.
        n_labels : Tensor, shape (4,)
            Weights of the targets of each property in the whole batch.

        Returns
        -------
        list of BatchLoss
            One per micro-batch, in their order.
        """
        differentiable = torch.is_grad_enabled()  # which is local to this thread
        evaluate = self._differentiate if differentiable else self._evaluate
        apply = partial(evaluate, n_labels)
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
        apply: Callable[[LabelledBatch], BatchLoss],
        micro_batches: Sequence[LabelledBatch],
    ) -> list[BatchLoss]:
        """Compute the losses of micro-batches, several at once."""
        n_threads = min(self._n_threads, len(micro_batches))
        if n_threads <= 1:
            return list(map(apply, micro_batches))
        use_one_core = partial(torch.set_num_threads, 1)
        with ThreadPoolExecutor(n_threads, initializer=use_one_core) as pool:
            return list(pool.map(apply, micro_batches))

    @flush_denormals()
    def _differentiate(self, n_labels: Tensor, micro_batch: LabelledBatch) -> BatchLoss:
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
        micro_batch: LabelledBatch,
        *,
        differentiable: bool = False,
    ) -> BatchLoss:
        """Compute the loss of a micro-batch."""
        batch, labels = micro_batch
        backend = self._backend
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
