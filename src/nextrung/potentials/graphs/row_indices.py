"""Indices of rows whose number is known, without waiting for a GPU to count them."""

from __future__ import annotations

import torch
from torch import Tensor


def find_true(mask: Tensor, number: int) -> Tensor:
    """Find the rows where a mask is true.

    Parameters
    ----------
    mask : Tensor of bool, shape (n_rows,)
        Mask.
    number : int
        Number of these rows.

    Returns
    -------
    Tensor of int, shape (number,)
        The rows in ascending order.
    """
    if mask.device.type == "cpu":
        return torch.nonzero(mask)[:, 0]
    ranks = torch.arange(1, number + 1, device=mask.device)
    return torch.searchsorted(torch.cumsum(mask, 0), ranks)


def find_starts(counts: Tensor) -> Tensor:
    """Find the first row of each group, and the end of the last one.

    Parameters
    ----------
    counts : Tensor of int or bool, shape (n_groups,)
        Rows of each group.

    Returns
    -------
    Tensor of int, shape (n_groups + 1,)
        Rows of group ``i`` are ``starts[i]:starts[i + 1]``.
    """
    totals = torch.cumsum(counts, 0)
    return torch.cat([totals.new_zeros(1), totals])


def count_true(mask: Tensor, starts: Tensor) -> Tensor:
    """Count the true rows of each group.

    Parameters
    ----------
    mask : Tensor of bool, shape (n_rows,)
        Mask.
    starts : Tensor of int, shape (n_groups + 1,)
        Rows of group ``i`` are ``starts[i]:starts[i + 1]``.

    Returns
    -------
    Tensor of int, shape (n_groups,)
        Numbers of rows.
    """
    return find_starts(mask)[starts].diff()


def repeat_rows(counts: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Repeat each row a number of times.

    Parameters
    ----------
    counts : Tensor of int, shape (n_rows,)
        Repetitions of each row.
    size : int
        Their sum.

    Returns
    -------
    rows : Tensor of int, shape (size,)
        The row of each repetition.
    ranks : Tensor of int, shape (size,)
        Number of each repetition within its row, from 0.
    """
    sources = torch.arange(len(counts), device=counts.device)
    rows = torch.repeat_interleave(sources, counts, output_size=size)
    ranks = torch.arange(size, device=rows.device)
    return rows, ranks - (torch.cumsum(counts, 0) - counts)[rows]
