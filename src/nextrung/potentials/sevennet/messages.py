"""Sums of the messages of edges to their receiving atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextrung.potentials.graphs.segment_ops import Segments

#: Numbers of a part of the messages that stays in the cache of a CPU core.
_PART_SIZE = 200_000


def sum_messages(
    values: Tensor,
    matrices: Tensor,
    weights: Tensor,
    *,
    path_of_row: Tensor,
    receivers: Segments,
) -> Tensor:
    """Sum the messages to each atom; differentiable any number of times.

    Parameters
    ----------
    values : Tensor of float, shape (2 n_pairs, n_in, n_channels)
        Features of the sending atoms.
    matrices : Tensor of float, shape (2 n_pairs, n_rows, n_in)
        Matrix of each edge.
    weights : Tensor of float, shape (n_pairs, n_paths, n_channels)
        Weights of each pair.
    path_of_row : Tensor of int, shape (n_rows,)
        Path whose weights multiply each row.
    receivers : Segments
        Receiving atom of each edge.

    Returns
    -------
    Tensor of float, shape (n_atoms, n_rows, n_channels)
        Sums over the edges.
    """
    messages = torch.bmm(matrices, values)
    by_pair = messages.view(-1, 2, *messages.shape[1:])
    weighted = by_pair * weights.index_select(1, path_of_row)[:, None]
    sums = receivers.segment_sum(weighted.view(len(messages), -1))
    return sums.view(-1, *messages.shape[1:])


def sum_messages_once(
    values: Tensor,
    matrices: Tensor,
    weights: Tensor,
    *,
    path_of_row: Tensor,
    receivers: Segments,
) -> Tensor:
    """Sum the messages to each atom; differentiable once.

    On a CPU the messages are never all in memory: a part of the edges at a time is
    computed, in the cache, and computed again for the gradient.

    Parameters
    ----------
    values : Tensor of float, shape (2 n_pairs, n_in, n_channels)
        Features of the sending atoms.
    matrices : Tensor of float, shape (2 n_pairs, n_rows, n_in)
        Matrix of each edge.
    weights : Tensor of float, shape (n_pairs, n_paths, n_channels)
        Weights of each pair.
    path_of_row : Tensor of int, shape (n_rows,)
        Path whose weights multiply each row.
    receivers : Segments
        Receiving atom of each edge.

    Returns
    -------
    Tensor of float, shape (n_atoms, n_rows, n_channels)
        Sums over the edges.
    """
    if values.device.type != "cpu":
        return sum_messages(
            values, matrices, weights, path_of_row=path_of_row, receivers=receivers
        )
    arguments = (values, matrices, weights, path_of_row, receivers)
    sums: Tensor = _MessageSum.apply(*arguments)  # type: ignore[no-untyped-call]
    return sums


class _MessageSum(torch.autograd.Function):
    """Sum of messages, computed part by part."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,  # noqa: ANN401
        values: Tensor,
        matrices: Tensor,
        weights: Tensor,
        path_of_row: Tensor,
        receivers: Segments,
    ) -> Tensor:
        ctx.save_for_backward(values, matrices, weights, path_of_row)
        ctx.receivers = receivers
        n_atoms, n_rows = len(receivers.starts) - 1, len(path_of_row)
        sums = values.new_zeros(n_atoms, n_rows * values.shape[2])
        for edges, pairs in _list_parts(len(weights), n_rows * values.shape[2]):
            messages = torch.bmm(matrices[edges], values[edges])
            _weigh(messages, weights[pairs].index_select(1, path_of_row))
            sums.index_add_(0, receivers.index[edges], messages.flatten(1))
        return sums.view(n_atoms, n_rows, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        values, matrices, weights, path_of_row = ctx.saved_tensors
        flat = gradient.flatten(1)
        by_value, by_matrix, by_weight = map(
            torch.empty_like, (values, matrices, weights)
        )
        paths = torch.arange(weights.shape[1])[:, None]
        is_row = (paths == path_of_row.repeat(2)).to(values.dtype)
        for edges, pairs in _list_parts(len(weights), flat.shape[1]):
            part, matrix = values[edges], matrices[edges]
            gradients = flat.index_select(0, ctx.receivers.index[edges])
            gradients = gradients.view(len(part), len(path_of_row), -1)
            products = torch.bmm(matrix, part).mul_(gradients)
            products = products.view(len(products) // 2, is_row.shape[1], -1)
            torch.matmul(is_row, products, out=by_weight[pairs])
            _weigh(gradients, weights[pairs].index_select(1, path_of_row))
            torch.bmm(matrix.mT, gradients, out=by_value[edges])
            torch.bmm(gradients, part.mT, out=by_matrix[edges])
        return by_value, by_matrix, by_weight, None, None


def _list_parts(n_pairs: int, width: int) -> Iterator[tuple[slice, slice]]:
    """List parts of the edges, and of the pairs, whose messages fit the cache."""
    size = max(1, _PART_SIZE // (2 * width))
    for start in range(0, n_pairs, size):
        stop = min(start + size, n_pairs)
        yield slice(2 * start, 2 * stop), slice(start, stop)


def _weigh(messages: Tensor, weights: Tensor) -> None:
    """Multiply both messages of each pair by its weights, in place."""
    messages.view(-1, 2, *messages.shape[1:]).mul_(weights[:, None])
