from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.potentials.accelerators import DEVICE, accelerator

from nextrung.potentials.graphs.row_indices import (
    count_true,
    find_starts,
    find_true,
    repeat_rows,
)


@pytest.mark.parametrize("mask", [[], [0, 0], [1], [0, 1, 1, 0, 1, 0]])
def test_true_rows_are_found_without_a_wait(mask: list[int]) -> None:
    chosen = torch.tensor(mask, dtype=torch.bool)
    expected = np.flatnonzero(mask).tolist()
    assert find_true(chosen, len(expected)).tolist() == expected
    with accelerator() as counts:
        found = find_true(chosen.to(DEVICE), len(expected))
    assert counts.n_waits == 1  # the way of the mask
    with accelerator():
        assert found.tolist() == expected


def test_groups_are_counted_and_repeated_without_a_wait() -> None:
    """Also groups without rows."""
    counts = np.array([2, 0, 3, 0])
    mask = torch.tensor([True, False, True, False, True])
    with accelerator() as waits:
        there = torch.from_numpy(counts).to(DEVICE)
        chosen = mask.to(DEVICE)
        starts = find_starts(there)
        n_true = count_true(chosen, starts)
        rows, ranks = repeat_rows(there, 5)
    assert waits.n_waits == 2  # the way of both
    with accelerator():
        assert starts.tolist() == [0, 2, 2, 5, 5]
        assert n_true.tolist() == [1, 0, 2, 0]
        assert rows.tolist() == np.repeat(np.arange(4), counts).tolist()
        assert ranks.tolist() == [0, 1, 0, 1, 2]
