"""Gradients of a step: handed to autograd, and their statistics in tracked layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function

from nextrung.schemas.fine_tuning import GradientRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nextrung.potentials.interface import TrainableBackend

_QUANTILES: Mapping[str, float] = {
    "minimum": 0.0,
    "p5": 0.05,
    "p25": 0.25,
    "median": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "maximum": 1.0,
}


def attach_gradients(
    loss: Tensor, weights: Sequence[Tensor], gradients: Sequence[Tensor]
) -> Tensor:
    """Make a loss whose derivatives by weights are gradients computed before.

    Parameters
    ----------
    loss : Tensor, shape ()
        Loss.
    weights : sequence of Tensor
        Trained weights.
    gradients : sequence of Tensor
        Gradient of the loss by each weight.

    Returns
    -------
    Tensor, shape ()
        The loss, for Lightning to differentiate.
    """
    attached: Tensor = _AttachedGradients.apply(  # type: ignore[no-untyped-call]
        loss, tuple(gradients), *weights
    )
    return attached


class _AttachedGradients(Function):
    """A loss with known derivatives: one function for all weights."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        loss: Tensor,
        gradients: tuple[Tensor, ...],
        *_weights: Tensor,
    ) -> Tensor:
        """Return the loss, and keep the gradients."""
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Multiply the gradients with the derivative by the loss."""
        return None, None, *torch._foreach_mul(ctx.gradients, factor)  # noqa: SLF001 - no public name


def record_gradients(
    backend: TrainableBackend, step: int, fraction_of_epoch: float
) -> list[GradientRecord]:
    """Compute statistics of the gradients of the tracked layers.

    Parameters
    ----------
    backend : TrainableBackend
        Network after a backward pass.
    step : int
        Optimiser steps done.
    fraction_of_epoch : float
        Fraction of the epoch done, 0 to 1.

    Returns
    -------
    list of GradientRecord
        One record per layer that is trained itself; all zero if the loss does not
        depend on the layer, as on the angles of crystals without bonds below the bond
        cutoff.
    """
    layers = {
        layer: backend.module.get_parameter(name)
        for layer, name in backend.tracked_layers.items()
    }
    return [
        GradientRecord(
            step=step,
            fraction_of_epoch=fraction_of_epoch,
            layer=layer,
            **_describe(weight),
        )
        for layer, weight in layers.items()
        if weight.requires_grad
    ]


def _describe(weight: torch.nn.Parameter) -> dict[str, float]:
    """Compute statistics of the components of one gradient."""
    gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
    gradient = gradient.detach().double().flatten()
    quantiles = torch.quantile(gradient, gradient.new_tensor(list(_QUANTILES.values())))
    return dict(zip(_QUANTILES, quantiles.tolist(), strict=True)) | {
        "mean_abs": float(gradient.abs().mean()),
        "norm": float(gradient.norm()),
    }
