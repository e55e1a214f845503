"""What one step of a training computes: the parts of a batch, one by one or at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.chgnet.denormals import flush_denormals
from nextrung.potentials.chgnet.forward import predict_differentiably, predict_graphs
from nextrung.potentials.training.losses import compare_outputs, weigh_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chgnet.model import CHGNet
    from torch import Tensor

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.training.losses import Deviations, Properties
    from nextrung.schemas.fine_tuning import FineTuningSettings

    MicroBatch = tuple[GraphBatch, Properties]


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """What the network makes of a part of a batch.

    Parameters
    ----------
    deviations : Deviations
        Sums over the labels of the part.
    loss : Tensor, shape ()
        What the part adds to the loss of the batch.
    gradients : tuple of Tensor
        What it adds to the gradient of each trained weight; empty in validation.
    """

    deviations: Deviations
    loss: Tensor
    gradients: tuple[Tensor, ...] = field(default=())


class LossEvaluator:
    """Scores the parts of batches, several at once where there are threads for them.

    The result does not depend on the number of threads: a part is computed by one of
    them, and what parts add up to is added up in their order.

    Parameters
    ----------
    model : CHGNet
        The network.
    settings : FineTuningSettings
        Weights and shape of the loss.
    n_threads : int
        Parts computed at once.
    """

    def __init__(
        self, model: CHGNet, settings: FineTuningSettings, n_threads: int = 1
    ) -> None:
        self._model = model
        self._settings = settings
        self._n_threads = n_threads

    def differentiate(
        self, parts: Sequence[MicroBatch], n_labels: Tensor
    ) -> list[BatchLoss]:
        """Score parts and find the gradients of their losses.

        Parameters
        ----------
        parts : sequence of (GraphBatch, Properties)
            Graphs and labels of each part of a batch.
        n_labels : Tensor, shape (4,)
            Labels of each property in the whole batch.

        Returns
        -------
        list of BatchLoss
            One per part, in their order.
        """
        return self._map(lambda part: self._differentiate(part, n_labels), parts)

    def score(self, parts: Sequence[MicroBatch], n_labels: Tensor) -> list[BatchLoss]:
        """Score parts without a graph of second order.

        Parameters
        ----------
        parts : sequence of (GraphBatch, Properties)
            Graphs and labels of each part of a batch.
        n_labels : Tensor, shape (4,)
            Labels of each property in the whole batch.

        Returns
        -------
        list of BatchLoss
            One per part, in their order.
        """
        return self._map(lambda part: self._score(part, n_labels), parts)

    def trained_weights(self) -> list[torch.nn.Parameter]:
        """List the weights that are trained, in the order of the gradients."""
        return [weight for weight in self._model.parameters() if weight.requires_grad]

    @flush_denormals()
    def _differentiate(self, part: MicroBatch, n_labels: Tensor) -> BatchLoss:
        """Score a part with the gradient of its loss; zero for weights it lacks."""
        graphs, labels = part
        outputs = predict_differentiably(self._model, graphs, "efsm")
        delta = self._settings.huber_delta
        deviations = compare_outputs(outputs, graphs.n_atoms, labels, huber_delta=delta)
        loss = weigh_loss(deviations, n_labels, self._settings)
        gradients = torch.autograd.grad(
            loss, self.trained_weights(), allow_unused=True, materialize_grads=True
        )
        return BatchLoss(deviations, loss.detach(), gradients)

    def _score(self, part: MicroBatch, n_labels: Tensor) -> BatchLoss:
        """Score a part."""
        graphs, labels = part
        outputs = predict_graphs(self._model, graphs, "efsm")
        delta = self._settings.huber_delta
        deviations = compare_outputs(outputs, graphs.n_atoms, labels, huber_delta=delta)
        return BatchLoss(deviations, weigh_loss(deviations, n_labels, self._settings))

    def _map(
        self, score: Callable[[MicroBatch], BatchLoss], parts: Sequence[MicroBatch]
    ) -> list[BatchLoss]:
        """Score parts in their order, or at once."""
        if min(self._n_threads, len(parts)) <= 1:
            return [score(part) for part in parts]
        n_threads = min(self._n_threads, len(parts))
        with ThreadPoolExecutor(n_threads, initializer=_use_one_core) as pool:
            return list(pool.map(score, parts))


def _use_one_core() -> None:
    """Keep a thread from starting threads of its own."""
    torch.set_num_threads(1)
