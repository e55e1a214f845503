from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from nextrung.potentials.graphs.segment_ops import SegmentPair, Segments

if TYPE_CHECKING:
    from torch import Tensor

INDEX = torch.tensor([3, 0, 3, 1, 0, 3])
N_SOURCES = 5


@pytest.fixture
def segments() -> Segments:
    return Segments.of(INDEX, N_SOURCES)


def test_a_gather_copies_the_source_of_each_row(segments: Segments) -> None:
    source = torch.randn(N_SOURCES, 4)
    assert segments.gather(source).equal(source[INDEX])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_segment_sum_equals_an_indexed_addition(
    segments: Segments, dtype: torch.dtype
) -> None:
    rows = torch.randn(len(INDEX), 4, dtype=dtype)
    expected = torch.zeros(N_SOURCES, 4, dtype=dtype).index_add(0, INDEX, rows)
    torch.testing.assert_close(segments.segment_sum(rows), expected)


def test_a_segment_sum_of_no_rows_is_zero() -> None:
    empty = Segments.of(torch.zeros(0, dtype=torch.int64), 3)
    assert empty.segment_sum(torch.zeros(0, 2)).equal(torch.zeros(3, 2))
    assert empty.gather(torch.zeros(3, 2)).shape == (0, 2)


@pytest.mark.parametrize("method", ["gather", "segment_sum"])
def test_gradients_are_right_to_second_order(segments: Segments, method: str) -> None:
    n_rows = N_SOURCES if method == "gather" else len(INDEX)
    rows = torch.randn(n_rows, 2, dtype=torch.float64, requires_grad=True)
    apply = getattr(segments, method)
    assert torch.autograd.gradcheck(lambda x: apply(x) ** 3, rows)
    assert torch.autograd.gradgradcheck(lambda x: apply(x) ** 3, rows)


@pytest.mark.parametrize("repeats", [1, 2])
def test_combined_rows_are_two_gathers_and_a_linear_map(
    segments: Segments, repeats: int
) -> None:
    other = Segments.of(torch.tensor([1, 1, 0, 2, 0, 2]), 3)
    first = torch.randn(N_SOURCES, 4, dtype=torch.float64, requires_grad=True)
    second = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(6 // repeats, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    pair = SegmentPair.of(segments, other)
    combined = pair.combine((first, second), rows, weight)
    repeated = (rows @ weight.T).repeat(repeats, 1)
    torch.testing.assert_close(combined, first[INDEX] + second[other.index] + repeated)

    def combine_cubed(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        return pair.combine((a, b), c, d) ** 3

    assert torch.autograd.gradcheck(combine_cubed, (first, second, rows, weight))
    assert torch.autograd.gradgradcheck(combine_cubed, (first, second, rows, weight))
