from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.potentials.networks import network_of
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from nextrung.potentials.chgnet.double_backward import (
    _FastLayerNorm,
    _FastSiLU,
    use_fast_double_backward,
)
from nextrung.potentials.registry import load_potential

if TYPE_CHECKING:
    from collections.abc import Callable

GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape: int) -> Tensor:
    values = torch.randn(shape, generator=GENERATOR, dtype=torch.float64)
    return values.requires_grad_()


def normalise(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    layer = _FastLayerNorm(rows.shape[1], dtype=torch.float64)
    normalised: Tensor = functional_call(layer, {"weight": weight, "bias": bias}, rows)
    return normalised


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [(_FastSiLU(), (draw(5, 7),)), (normalise, (draw(5, 7), draw(7), draw(7)))],
    ids=["silu", "norm"],
)
def test_gradients_agree_with_finite_differences(
    layer: Callable[..., Tensor], inputs: tuple[Tensor, ...]
) -> None:
    assert gradcheck(layer, inputs)


def test_second_derivatives_of_silu_agree_with_finite_differences() -> None:
    assert gradgradcheck(_FastSiLU(), draw(5, 7))


def test_second_derivatives_of_a_norm_agree_with_finite_differences() -> None:
    """By rows and by weight, of the gradient by rows: what training on forces needs."""
    cubes, bias = draw(5, 7), draw(7)

    def differentiate(rows: Tensor, weight: Tensor) -> Tensor:
        energy = (cubes * normalise(rows, weight, bias) ** 3).sum()
        (gradient,) = torch.autograd.grad(energy, rows, create_graph=True)
        return gradient

    assert gradcheck(differentiate, (draw(5, 7), draw(7)), check_undefined_grad=False)


def test_second_derivatives_of_the_gradients_of_weights_are_not_implemented() -> None:
    rows, weight = draw(5, 7), draw(7)
    energy = normalise(rows, weight, draw(7)).pow(2).sum()
    (gradient,) = torch.autograd.grad(energy, weight, create_graph=True)

    with pytest.raises(NotImplementedError, match="gradients of weight and bias"):
        torch.autograd.grad(gradient.sum(), rows)


def test_large_values_do_not_overflow() -> None:
    values = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], requires_grad=True)
    (gradient,) = torch.autograd.grad(
        _FastSiLU()(values).sum(), values, create_graph=True
    )
    (second,) = torch.autograd.grad(gradient.sum(), values)

    assert gradient.tolist() == pytest.approx([0, 0, 0.5, 1, 1])
    assert second.tolist() == pytest.approx([0, 0, 0.5, 0, 0])


def test_a_network_keeps_its_weights_and_their_names() -> None:
    model = network_of(load_potential("chgnet-0.3.0", "cpu").copy())
    before = dict(model.named_parameters())

    use_fast_double_backward(model)

    after = dict(model.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is weight for name, weight in before.items())
    kinds = {type(module) for module in model.modules()}
    assert {_FastSiLU, _FastLayerNorm} <= kinds
    assert not {nn.SiLU, nn.LayerNorm} & kinds
