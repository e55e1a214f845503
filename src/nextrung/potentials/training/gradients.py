"""Gradient statistics of the layers of Fig. 3a of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nextrung.schemas.fine_tuning import GradientRecord, TrackedLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chgnet.model import CHGNet

#: Weights of CHGNet by the names of the figure. ``W0`` and ``W3`` are the first and
#: the second linear layer, 0 and 3 in their sequence, of the core of a gated MLP.
TRACKED_WEIGHTS: Mapping[TrackedLayer, str] = {
    TrackedLayer.ATOM_EMBEDDING: "atom_embedding.embedding.weight",
    TrackedLayer.BOND_EMBEDDING: "bond_embedding.weight",
    TrackedLayer.ANGLE_EMBEDDING: "angle_embedding.weight",
    TrackedLayer.ATOM_CONV_FIRST: (
        "atom_conv_layers.0.twoBody_atom.mlp_core.layers.0.weight"
    ),
    TrackedLayer.ATOM_CONV_LAST: (
        "atom_conv_layers.3.twoBody_atom.mlp_core.layers.3.weight"
    ),
    TrackedLayer.BOND_CONV_FIRST: (
        "bond_conv_layers.0.twoBody_bond.mlp_core.layers.0.weight"
    ),
    TrackedLayer.BOND_CONV_LAST: (
        "bond_conv_layers.2.twoBody_bond.mlp_core.layers.3.weight"
    ),
    TrackedLayer.READOUT_FIRST: "mlp.layers.0.weight",
}

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
    model: CHGNet, step: int, fraction_of_epoch: float
) -> list[GradientRecord]:
    """Compute statistics of the gradients of the tracked layers.

    Parameters
    ----------
    model : CHGNet
        Model after a backward pass.
    step : int
        Optimiser steps done.
    fraction_of_epoch : float
        Fraction of the epoch done, 0 to 1.

    Returns
    -------
    list of GradientRecord
        One record per layer; all zero if the loss does not depend on the layer, as on
        the angles of crystals without bonds below the bond cutoff.
    """
    return [
        GradientRecord(
            step=step,
            fraction_of_epoch=fraction_of_epoch,
            layer=layer,
            **_describe(model.get_parameter(name)),
        )
        for layer, name in TRACKED_WEIGHTS.items()
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
