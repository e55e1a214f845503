from __future__ import annotations

import pytest
import torch
from chgnet.model.functions import GatedMLP

from nextrung.potentials.chgnet.gated_mlp import split_gate

WIDTHS = (3, 4, 5)


@pytest.mark.parametrize("norm", [None, "layer"])
@pytest.mark.parametrize("hidden", [0, 6, [6, 7]])
def test_a_split_layer_gives_the_numbers_of_the_whole(
    hidden: int | list[int], norm: str | None
) -> None:
    layer = GatedMLP(sum(WIDTHS), 2, hidden_dim=hidden, norm=norm, activation="silu")
    parts = [torch.randn(8, width) for width in WIDTHS]
    gate = split_gate(layer, WIDTHS)
    first = sum(part @ w.T for part, w in zip(parts, gate.weights, strict=True))
    torch.testing.assert_close(
        gate.finish(first + gate.bias), layer(torch.cat(parts, 1))
    )


def test_gradients_reach_the_parameters_of_the_layer() -> None:
    layer = GatedMLP(sum(WIDTHS), 2, hidden_dim=6, norm="layer", activation="silu")
    gate = split_gate(layer, WIDTHS)
    output = gate.finish(torch.randn(8, 3) @ gate.weights[0].T + gate.bias)
    gradients = torch.autograd.grad(output.sum(), list(layer.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
