"""Gathering rows of tensors and adding them up again, always in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


@dataclass(frozen=True, eq=False)
class Segments:
    """Which row of a source every row of a larger tensor belongs to.

    Gathering and adding up are each other's gradient, so both can be differentiated
    any number of times. Sums run in a fixed order: unlike atomic additions, they give
    the same bits on every run.

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
            Rows of the source.

        Returns
        -------
        Segments
            The rows and their order.
        """
        return cls(
            index=index,
            order=torch.argsort(index, stable=True),
            starts=_count_from_zero(index, n_sources),
        )

    def gather(self, source: Tensor) -> Tensor:
        """Copy source rows to the rows that belong to them.

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

    def add_up(self, rows: Tensor) -> Tensor:
        """Add up the rows that belong to each source row.

        Parameters
        ----------
        rows : Tensor of float, shape (n_rows, width)
            Rows.

        Returns
        -------
        Tensor of float, shape (n_sources, width)
            Sums, zero where no row belongs.
        """
        sums: Tensor = _AddUp.apply(rows, self)  # type: ignore[no-untyped-call]
        return sums


def _count_from_zero(index: Tensor, n_sources: int) -> Tensor:
    """Cumulate the number of rows per source, beginning with 0."""
    starts = index.new_zeros(n_sources + 1)
    torch.cumsum(torch.bincount(index, minlength=n_sources), 0, out=starts[1:])
    return starts


class _Gather(torch.autograd.Function):
    """Copy rows; the gradient adds them up."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, segments: Segments) -> Tensor:  # noqa: ANN401
        ctx.segments = segments
        return source.index_select(0, segments.index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return ctx.segments.add_up(gradient), None


class _AddUp(torch.autograd.Function):
    """Add rows up; the gradient copies them."""

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
