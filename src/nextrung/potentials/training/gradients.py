"""Gradient statistics of the tracked layers, as in Fig. 3a of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nextrung.schemas.fine_tuning import GradientRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

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
