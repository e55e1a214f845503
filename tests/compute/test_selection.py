from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.selection import Pool, select_candidates
from nextrung.schemas.base import InputError
from nextrung.schemas.improvement import Strategy


def make_pool(counts: list[dict[int, int]]) -> Pool:
    """Candidates of given atomic numbers, without a committee."""
    table = np.zeros((len(counts), 94))
    for row, composition in zip(table, counts, strict=True):
        for number, n_atoms in composition.items():
            row[number - 1] = n_atoms
    fractions = table / table.sum(axis=1, keepdims=True)
    return Pool(table, np.zeros(len(table)), np.full(len(table), np.nan), fractions)


def test_an_element_without_a_label_is_chosen_first() -> None:
    pool = make_pool([{1: 1, 8: 1}, {3: 1, 8: 1}, {1: 2, 8: 1}])
    known = make_pool([{1: 1, 8: 1}, {1: 2, 8: 1}])

    chosen = select_candidates(
        pool,
        known.counts,
        known.features,
        n=1,
        strategy=Strategy.EXPECTED_GAIN,
        rng=np.random.default_rng(0),
    )

    assert [choice.index for choice in chosen] == [1]


def test_less_than_one_candidate_cannot_be_chosen() -> None:
    pool = make_pool([{1: 1}])

    with pytest.raises(InputError, match="1 or more candidates to choose, got 0"):
        select_candidates(
            pool,
            pool.counts,
            pool.features,
            n=0,
            strategy=Strategy.RANDOM,
            rng=np.random.default_rng(0),
        )
