from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextrung.compute.labelling import choose_structures
from nextrung.schemas.base import InputError

OXIDES = [{3, 8}, {3, 8}, {3, 8}, {12, 8}, {26, 8}, {3, 26, 8}]


def test_every_element_is_chosen_once_before_any_is_chosen_twice() -> None:
    chosen = choose_structures(OXIDES, 3, seed=0)
    assert set().union(*(OXIDES[index] for index in chosen)) == {3, 8, 12, 26}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_larger_choice_starts_with_the_smaller_one(seed: int) -> None:
    everything = choose_structures(OXIDES, 6, seed)
    assert sorted(everything) == list(range(6))
    assert choose_structures(OXIDES, 4, seed) == everything[:4]


def test_equal_structures_are_ordered_by_the_seed() -> None:
    same = [{3, 8}] * 20
    assert choose_structures(same, 5, 0) != choose_structures(same, 5, 1)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sets(st.integers(1, 12), min_size=1, max_size=4), min_size=1),
    st.integers(0, 9),
    st.data(),
)
def test_each_chosen_structure_has_the_least_chosen_element(
    elements: list[set[int]], seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(elements)))
    n_holders: Counter[int] = Counter()
    left = set(range(len(elements)))
    for chosen in choose_structures(elements, count, seed):
        rarest = min(min(n_holders[z] for z in elements[i]) for i in left)
        assert min(n_holders[z] for z in elements[chosen]) == rarest
        left.remove(chosen)
        n_holders.update(elements[chosen])


@pytest.mark.parametrize("count", [0, -1, 7])
def test_more_structures_than_there_are_is_rejected(count: int) -> None:
    with pytest.raises(InputError, match=f"expected 1 to 6 structures, got {count}"):
        choose_structures(OXIDES, count, seed=0)
