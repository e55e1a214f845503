"""Losses and gradients of the micro-batches of a batch, several at once on threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.denormals import flush_denormals
from nextrung.potentials.prediction import PROPERTIES
from nextrung.potentials.training.losses import compare_outputs, weigh_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nextrung.potentials.interface import Batch, Outputs, TrainableBackend
    from nextrung.potentials.training.losses import Deviations, Properties
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
    n_threads : int
        Micro-batches computed at once.
    trained : str
        Letters of the properties that have targets in the training; derivatives that
        have none are not computed.
    scored : str
        Letters of the properties that have labels in the validation.
    """

    def __init__(
        self,
        backend: TrainableBackend,
        settings: FineTuningSettings,
        n_threads: int = 1,
        *,
        trained: str = PROPERTIES,
        scored: str = PROPERTIES,
    ) -> None:
        self._backend = backend
        self._trained, self._scored = (
            "".join(each for each in backend.properties if each in properties)
            for properties in (trained, scored)
        )
        self._settings = settings
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
        n_threads = min(self._n_threads, len(micro_batches))
        if n_threads <= 1:
            return list(map(apply, micro_batches))
        use_one_core = partial(torch.set_num_threads, 1)
        with ThreadPoolExecutor(n_threads, initializer=use_one_core) as pool:
            return list(pool.map(apply, micro_batches))

    def trained_weights(self) -> list[torch.nn.Parameter]:
        """List the weights that are trained, in the order of the gradients."""
        return [
            weight
            for weight in self._backend.module.parameters()
            if weight.requires_grad
        ]

    @flush_denormals()
    def _differentiate(self, n_labels: Tensor, micro_batch: LabelledBatch) -> BatchLoss:
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
