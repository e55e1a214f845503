"""The gated layers of CHGNet with their first linear maps applied before the gather.

A gated layer of chgnet concatenates features of atoms, bonds and angles, row by row,
and applies two multilayer perceptrons to them. The first linear map of a concatenation
is the sum of linear maps of its parts, so it is applied to the atoms and bonds
themselves, of which there are far fewer than rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class SplitGate:
    """A gated layer split at its first linear map; its weights are those of the layer.

    Parameters
    ----------
    weights : tuple of Tensor, each of shape (2 hidden, width)
        First linear map of each part of the input, core above gate.
    bias : Tensor of float, shape (2 hidden,)
        Bias of the first linear map.
    layer : GatedMLP
        The layer of chgnet.
    """

    weights: tuple[Tensor, ...]
    bias: Tensor
    layer: Any

    def finish(self, hidden: Tensor) -> Tensor:
        """Apply the layers after the first linear map.

        Parameters
        ----------
        hidden : Tensor of float, shape (n_rows, 2 hidden)
            Output of the first linear map.

        Returns
        -------
        Tensor of float, shape (n_rows, width)
            Output of the layer.
        """
        _, core_rest = _split_perceptron(self.layer.mlp_core.layers)
        _, gate_rest = _split_perceptron(self.layer.mlp_gate.layers)
        if core_rest:  # the activation is the same for both halves
            hidden = core_rest[0](hidden)
        core, gate = hidden.chunk(2, dim=1)
        for core_layer, gate_layer in zip(core_rest[1:], gate_rest[1:], strict=True):
            core, gate = core_layer(core), gate_layer(gate)
        if self.layer.norm is not None:
            core, gate = self.layer.bn1(core), self.layer.bn2(gate)
        activated: Tensor = self.layer.activation(core)
        return activated * torch.sigmoid(gate)


def split_gate(layer: Any, widths: Sequence[int]) -> SplitGate:  # noqa: ANN401
    """Split a gated layer at its first linear map.

    Parameters
    ----------
    layer : GatedMLP
        A gated layer of chgnet.
    widths : sequence of int
        Width of each part of its input, in order.

    Returns
    -------
    SplitGate
        The split layer; gradients flow to the parameters of ``layer``.
    """
    core, _ = _split_perceptron(layer.mlp_core.layers)
    gate, _ = _split_perceptron(layer.mlp_gate.layers)
    weights = torch.split(torch.cat([core.weight, gate.weight]), list(widths), dim=1)
    return SplitGate(weights, torch.cat([core.bias, gate.bias]), layer)


def _split_perceptron(layers: nn.Sequential) -> tuple[nn.Linear, list[nn.Module]]:
    """Split a perceptron into its first linear map and the layers after it."""
    rest = list(layers)
    while not isinstance(first := rest.pop(0), nn.Linear):
        pass
    return first, rest
