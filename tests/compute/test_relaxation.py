from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextrung.compute.relaxation import count_shards, count_statuses, cut_shards
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus


@pytest.mark.parametrize(
    ("n_materials", "per_shard", "expected"), [(0, 10, 1), (10, 10, 1), (11, 10, 2)]
)
def test_no_shard_is_larger_than_requested(
    n_materials: int, per_shard: int, expected: int
) -> None:
    assert count_shards(n_materials, per_shard) == expected


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(1, 7))
def test_every_material_is_in_one_shard(sizes: list[int], n_shards: int) -> None:
    shards = cut_shards(np.array(sizes, dtype=np.int64), n_shards)

    assert len(shards) == n_shards
    assert sorted(np.concatenate(shards).tolist()) == list(range(len(sizes)))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=60), st.integers(1, 7))
def test_shards_differ_by_no_more_atoms_than_the_largest_material(
    sizes: list[int], n_shards: int
) -> None:
    """The heaviest shard was the lightest before its last material came."""
    n_atoms = np.array(sizes, dtype=np.int64)

    loads = [n_atoms[shard].sum() for shard in cut_shards(n_atoms, n_shards)]

    assert max(loads) - min(loads) <= max(sizes)


def test_statuses_that_did_not_occur_are_absent() -> None:
    records = [
        RelaxationRecord(status=status, energy=None, structure=None, n_steps=0)
        for status in (RelaxationStatus.ERROR, RelaxationStatus.ERROR)
    ]

    assert count_statuses(records) == {"error": 2}
