"""Gathers and segment sums of tensors, deterministic and twice differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


@dataclass(frozen=True, eq=False)
class Segments:
    """Map of the rows of a tensor to the rows of a source.

    Gather and segment sum are each other's gradient, so both can be differentiated any
    number of times. Sums run in a fixed order: unlike atomic additions, they give the
    same bits on every run.

    Parameters
    ----------
    index : Tensor of int, shape (n_rows,)
        Source row of each row.
    order : Tensor of int, shape (n_rows,)
        Rows sorted by their source row.
    starts : Tensor of int, shape (n_sources + 1,)
        Rows of source ``i`` are ``order[starts[i]:starts[i + 1]]``.
    """

    index: Tensor
    order: Tensor
    starts: Tensor

    @classmethod
    def of(cls, index: Tensor, n_sources: int) -> Self:
        """Sort rows by their source.

        Parameters
        ----------
        index : Tensor of int, shape (n_rows,)
            Source row of each row.
        n_sources : int
            Number of rows of the source.
        """
        order = sort_stably(index)
        sources = torch.arange(n_sources + 1, device=index.device)
        starts = torch.searchsorted(index[order], sources)
        return cls(index=index, order=order, starts=starts)

    def gather(self, source: Tensor) -> Tensor:
        """Copy the source row of each row.

        Parameters
        ----------
        source : Tensor of float, shape (n_sources, width)
            Source rows.

        Returns
        -------
        Tensor of float, shape (n_rows, width)
            Copies.
        """
        gathered: Tensor = _Gather.apply(source, self)  # type: ignore[no-untyped-call]
        return gathered

    def segment_sum(self, rows: Tensor) -> Tensor:
        """Sum the rows of each source row.

        Parameters
        ----------
        rows : Tensor of float, shape (n_rows, width)
            Rows.

        Returns
        -------
        Tensor of float, shape (n_sources, width)
            Sums, zero for a source row without rows.
        """
        sums: Tensor = _SegmentSum.apply(rows, self)  # type: ignore[no-untyped-call]
        return sums


@dataclass(frozen=True, eq=False)
class SegmentPair:
    """Maps of the rows of a tensor to the rows of two sources.

    Parameters
    ----------
    first, second : Segments
        Maps to the first and to the second source.
    index : Tensor of int, shape (2 n_rows,)
        Source rows of each row, the second source appended to the first.
    starts : Tensor of int, shape (n_rows + 1,)
        0, 2, 4 …
    """

    first: Segments
    second: Segments
    index: Tensor
    starts: Tensor

    @classmethod
    def of(cls, first: Segments, second: Segments) -> Self:
        """Combine two maps of the same rows.

        Parameters
        ----------
        first, second : Segments
            Maps to the first and to the second source.
        """
        n_first, n_rows = len(first.starts) - 1, len(first.index)
        return cls(
            first=first,
            second=second,
            index=torch.stack([first.index, second.index + n_first], dim=1).view(-1),
            starts=torch.arange(0, 2 * n_rows + 1, 2, device=first.index.device),
        )

    def combine(
        self, sources: tuple[Tensor, Tensor], rows: Tensor, weight: Tensor
    ) -> Tensor:
        """Add the two source rows of each row to a linear map of the row itself.

        Parameters
        ----------
        sources : tuple of Tensor of float, each of shape (n_sources, width)
            First and second source.
        rows : Tensor of float, shape (n_rows / n, n_features)
            Features of the rows, shared by each nth of them.
        weight : Tensor of float, shape (width, n_features)
            Linear map.

        Returns
        -------
        Tensor of float, shape (n_rows, width)
            Sums.
        """
        combined: Tensor = _Combine.apply(*sources, rows, weight, self)  # type: ignore[no-untyped-call]
        return combined


def sort_stably(index: Tensor) -> Tensor:
    """Sort rows by their index, equal ones in their order.

    Parameters
    ----------
    index : Tensor of int, shape (n_rows,)
        Index of each row.

    Returns
    -------
    Tensor of int, shape (n_rows,)
        Sorted rows.
    """
    if index.device.type == "cpu":  # numpy sorts nearly sorted rows faster than torch
        return torch.from_numpy(np.argsort(index.numpy(), kind="stable"))
    return torch.argsort(index, stable=True)


class _Gather(torch.autograd.Function):
    """Gather; its gradient is the segment sum."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, segments: Segments) -> Tensor:  # noqa: ANN401
        ctx.segments = segments
        return source.index_select(0, segments.index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return ctx.segments.segment_sum(gradient), None


class _SegmentSum(torch.autograd.Function):
    """Segment sum; its gradient is the gather."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, segments: Segments) -> Tensor:  # noqa: ANN401
        ctx.segments = segments
        return embedding_bag(
            segments.order,
            rows.contiguous(),
            segments.starts,
            mode="sum",
            include_last_offset=True,
        )

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return ctx.segments.gather(gradient), None


class _Combine(torch.autograd.Function):
    """Add two gathered sources to a linear map, in place."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,  # noqa: ANN401
        first: Tensor,
        second: Tensor,
        rows: Tensor,
        weight: Tensor,
        pair: SegmentPair,
    ) -> Tensor:
        ctx.pair = pair
        ctx.save_for_backward(rows, weight)
        combined = embedding_bag(
            pair.index,
            torch.cat([first, second]),
            pair.starts,
            mode="sum",
            include_last_offset=True,
        )
        if len(rows) == len(combined):
            return combined.addmm_(rows, weight.T)
        repeated = combined.view(-1, len(rows), weight.shape[0])
        return repeated.add_(rows @ weight.T).view(combined.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        rows, weight = ctx.saved_tensors
        pair, needed = ctx.pair, ctx.needs_input_grad
        first = pair.first.segment_sum(gradient) if needed[0] else None
        second = pair.second.segment_sum(gradient) if needed[1] else None
        if len(rows) != len(gradient):
            gradient = gradient.view(-1, len(rows), weight.shape[0]).sum(dim=0)
        return (
            first,
            second,
            gradient @ weight if needed[2] else None,
            gradient.T @ rows if needed[3] else None,
            None,
        )
