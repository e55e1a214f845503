from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextrung.potentials.graphs.batching import split_by_cost


@given(
    costs=st.lists(st.integers(1, 50), max_size=30),
    limit=st.integers(1, 120),
)
def test_batches_are_consecutive_and_exceed_the_limit_by_less_than_their_last_item(
    costs: list[int], limit: int
) -> None:
    batches = split_by_cost(np.array(costs, dtype=np.int64), limit)

    items = [list(range(len(costs)))[batch] for batch in batches]
    assert [item for batch in items for item in batch] == list(range(len(costs)))
    assert all(items)
    for batch in items:
        assert sum(costs[item] for item in batch[:-1]) < limit


@pytest.mark.parametrize("limit", [4, 100])
def test_batches_cost_about_the_limit(limit: int) -> None:
    costs = np.ones(400, dtype=np.int64)

    sizes = [costs[batch].sum() for batch in split_by_cost(costs, limit)]

    assert sizes == [limit] * (400 // limit)


def test_no_items_have_no_batches() -> None:
    assert split_by_cost(np.zeros(0, dtype=np.int64), 10) == []
