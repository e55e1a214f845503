"""Layers with fast second derivatives, for training on forces.

Training on forces differentiates the network twice. torch computes the second
derivatives of SiLU and of layer normalisation by some thirty memory-bound operations;
their closed forms take a few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

if TYPE_CHECKING:
    from chgnet.model import CHGNet

_silu_gradient = torch.ops.aten.silu_backward
_sigmoid_gradient = torch.ops.aten.sigmoid_backward
_norm_gradient = torch.ops.aten.native_layer_norm_backward


def use_fast_double_backward(model: CHGNet) -> CHGNet:
    """Replace SiLU and layer normalisation in a network by those of this module.

    Parameters
    ----------
    model : CHGNet
        Network to change in place; its weights keep their names and identity.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.SiLU:
                setattr(module, name, _FastSiLU())
            elif type(child) is nn.LayerNorm:
                setattr(module, name, _FastLayerNorm.like(child))
    return model


class _FastSiLU(nn.SiLU):
    """SiLU with its second derivative in closed form."""

    def forward(self, values: Tensor) -> Tensor:
        activated: Tensor = _SiLU.apply(values)  # type: ignore[no-untyped-call]
        return activated


class _FastLayerNorm(nn.LayerNorm):
    """Layer normalisation of rows with its second derivative in closed form."""

    @classmethod
    def like(cls, layer: nn.LayerNorm) -> _FastLayerNorm:
        """Build a layer that shares the weights of another."""
        (width,) = layer.normalized_shape
        fast = cls(width, eps=layer.eps, device="meta")
        fast.weight, fast.bias = layer.weight, layer.bias
        return fast

    def forward(self, rows: Tensor) -> Tensor:
        normalised: Tensor = _Norm.apply(  # type: ignore[no-untyped-call]
            rows, self.weight, self.bias, self.eps
        )
        return normalised


class _SiLU(Function):
    """SiLU with a differentiable gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(values)
        return nn.functional.silu(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # noqa: ANN401
        return _SiLUGradient.apply(gradient, *ctx.saved_tensors)  # type: ignore[no-untyped-call]


class _SiLUGradient(Function):
    """Gradient of SiLU: s + x s (1 - s) times the outer gradient, s the sigmoid of x.

    Its derivative by x is s' (2 + x - 2 x s), s' the gradient of the sigmoid.
    """

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, values: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(gradient, values)
        by_values: Tensor = _silu_gradient(gradient, values)
        return by_values

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        gradient, values = ctx.saved_tensors
        sigmoid = torch.sigmoid(values)
        factor = torch.addcmul(values, values, sigmoid, value=-2).add_(2)
        second = _sigmoid_gradient(factor.mul_(gradient).mul_(outer), sigmoid)
        return _silu_gradient(outer, values), second


class _Norm(Function):
    """Layer normalisation with a differentiable gradient."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:  # noqa: ANN401
        rows, weight, bias, eps = inputs
        normalised, mean, scale = torch.native_layer_norm(
            rows, weight.shape, weight, bias, eps
        )
        ctx.save_for_backward(rows, weight, bias, mean, scale)
        return normalised

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # noqa: ANN401
        gradients = _NormGradient.apply(gradient, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return (*gradients, None)


class _NormGradient(Function):
    """Gradients of layer normalisation by rows, weight and bias.

    With x̂ the normalised rows, s their scale and g the weighted gradient, the gradient
    by the rows is P(g) = s (g - mean(g) - x̂ mean(g x̂)). P is symmetric, so that an
    outer gradient v passes on P(v), and its derivative by the rows is
    -(x̂ s mean(v P(g)) + P(v) s mean(g x̂) + P(g) s mean(v x̂)).
    """

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *saved: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        rows, weight, bias, mean, scale = saved
        gradients: tuple[Tensor, ...] = _norm_gradient(
            gradient, rows, weight.shape, mean, scale, weight, bias, [True] * 3
        )
        ctx.save_for_backward(gradient, rows, weight, mean, scale, gradients[0])
        ctx.set_materialize_grads(value=False)
        return gradients

    @staticmethod
    def backward(ctx: Any, outer: Tensor, *others: Tensor | None) -> Any:  # noqa: ANN401
        if any(other is not None for other in others):
            raise NotImplementedError(
                "expected a second derivative of the gradient by rows, got one of the "
                "gradients of weight and bias"
            )
        gradient, rows, weight, mean, scale, by_rows = ctx.saved_tensors
        ones = torch.ones_like(weight)
        projected, _, _ = _norm_gradient(
            outer, rows, weight.shape, mean, scale, ones, None, [True, False, False]
        )
        unit = (rows - mean).mul_(scale)
        second = unit * (scale * (outer * by_rows).mean(dim=1, keepdim=True))
        for vector, factor in ((projected, gradient * weight), (by_rows, outer)):
            mean_product = (factor * unit).mean(dim=1, keepdim=True)
            second.addcmul_(vector, scale * mean_product)
        by_weight = (gradient * projected).sum(dim=0)
        return projected * weight, second.neg_(), by_weight, None, None, None
