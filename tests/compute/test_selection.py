from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nextrung.compute.selection import (
    PRIOR,
    SCATTER,
    Choice,
    Pool,
    select_candidates,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.improvement import Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def make_pool(
    compositions: Sequence[Mapping[int, int]],
    disagreement: Sequence[float] | None = None,
    volumes: Sequence[float] | None = None,
) -> Pool:
    """Candidates of given atoms by atomic number; without a committee unless given."""
    counts = np.zeros((len(compositions), 94))
    for row, composition in zip(counts, compositions, strict=True):
        for number, n_atoms in composition.items():
            row[number - 1] = n_atoms
    fractions = counts / counts.sum(axis=1, keepdims=True)
    last = np.zeros(len(counts)) if volumes is None else np.array(volumes)
    return Pool(
        counts,
        np.zeros(len(counts)) if disagreement is None else np.array(disagreement),
        np.column_stack([fractions, last]),
    )


def draw_pool(n: int, seed: int = 0) -> Pool:
    """Random compounds of two or three of twelve elements, with disagreements."""
    rng = np.random.default_rng(seed)
    compositions = [
        dict(
            zip(
                rng.choice(12, rng.integers(2, 4), replace=False) + 1,
                rng.integers(1, 5, 3),
                strict=False,
            )
        )
        for _ in range(n)
    ]
    return make_pool(compositions, rng.uniform(0, 0.02, n).tolist())


def choose(
    pool: Pool,
    labelled: Pool,
    n: int,
    strategy: Strategy = Strategy.EXPECTED_GAIN,
    seed: int = 0,
) -> list[Choice]:
    return select_candidates(
        pool,
        labelled.counts,
        labelled.features,
        n=n,
        strategy=strategy,
        rng=np.random.default_rng(seed),
    )


def subset(pool: Pool, rows: NDArray[np.int64]) -> Pool:
    return Pool(pool.counts[rows], pool.disagreement[rows], pool.features[rows])


NOTHING = subset(make_pool([{1: 1}]), np.arange(0))


def test_an_element_without_a_label_is_chosen_first() -> None:
    pool = make_pool([{1: 1, 8: 1}, {3: 1, 8: 1}, {1: 2, 8: 1}])
    labelled = make_pool([{1: 1}, {8: 1}])

    first, second, _ = choose(pool, labelled, 3)

    assert first.index == 1
    assert np.isfinite(first.leverage)
    assert first.leverage > 100 * second.leverage
    assert first.expected_gain > 100 * second.expected_gain


def test_of_two_new_elements_that_of_more_candidates_is_chosen_first() -> None:
    """A label is worth the error that it removes from the whole pool."""
    pool = make_pool([{3: 1, 8: 1}, {11: 1, 8: 1}, {11: 2, 8: 1}, {11: 1, 8: 2}])

    chosen = choose(pool, make_pool([{1: 1, 8: 1}, {8: 1}]), 2)

    assert pool.counts[chosen[0].index, 10] > 0
    assert chosen[1].index == 0


def test_structures_labelled_before_are_chosen_last() -> None:
    labelled = make_pool([{1: 1, 8: 1}, {3: 1, 9: 1}, {1: 1, 9: 1}, {3: 1, 8: 1}])
    new = make_pool([{1: 2, 8: 1}, {3: 2, 9: 1}, {1: 1, 3: 1}])
    pool = Pool(
        np.vstack([labelled.counts, new.counts]),
        np.zeros(7),
        np.vstack([labelled.features, new.features]),
    )

    chosen = choose(pool, labelled, 7)

    assert {choice.index for choice in chosen[:3]} == {4, 5, 6}
    assert [choice.expected_gain for choice in chosen[3:]] == pytest.approx([0] * 4)


def test_of_equal_structures_one_is_chosen_until_nothing_else_is_left() -> None:
    pool = make_pool([{1: 1, 8: 1}] * 3 + [{1: 2, 8: 1}, {1: 1, 8: 2}])

    chosen = [choice.index for choice in choose(pool, NOTHING, 5)]

    assert len({0, 1, 2} & set(chosen[:3])) == 1
    assert chosen[3:] == [1, 2]


def test_a_permuted_pool_gives_the_same_structures_in_the_same_order() -> None:
    pool, labelled = draw_pool(60), draw_pool(5, seed=1)
    order = np.random.default_rng(2).permutation(60)

    chosen = choose(pool, labelled, 20)
    permuted = choose(subset(pool, order), labelled, 20)

    assert [choice.index for choice in chosen] == [
        int(order[choice.index]) for choice in permuted
    ]
    assert [choice.expected_gain for choice in chosen] == [
        choice.expected_gain for choice in permuted
    ]


def test_a_sample_of_a_large_pool_is_that_of_the_permuted_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nextrung.compute.selection.MOST_SAMPLES", 10)
    pool, labelled = draw_pool(60), draw_pool(50, seed=1)
    order = np.random.default_rng(2).permutation(60)

    chosen = choose(pool, labelled, 10)

    assert [choice.index for choice in chosen] == [
        int(order[choice.index]) for choice in choose(subset(pool, order), labelled, 10)
    ]


def test_fewer_candidates_are_the_first_of_more() -> None:
    pool, labelled = draw_pool(40), draw_pool(3, seed=1)

    assert choose(pool, labelled, 4) == choose(pool, labelled, 12)[:4]


def test_a_supercell_counts_as_its_primitive_cell() -> None:
    pool, labelled = draw_pool(30), draw_pool(4, seed=1)
    doubled = Pool(2 * pool.counts, pool.disagreement, pool.features)

    assert {c.index for c in choose(pool, labelled, 8)} == {
        c.index for c in choose(doubled, labelled, 8)
    }


def test_of_equal_compositions_the_committee_decides() -> None:
    volumes = [0.010, 0.020, 0.030]
    pool = make_pool([{1: 1, 8: 1}] * 3, [0.01, 0.03, 0.02], volumes)

    first = choose(pool, make_pool([{1: 1, 8: 1}] * 50), 1)[0]

    assert (first.index, first.disagreement) == (1, 0.03)


def test_neighbours_of_a_chosen_structure_wait_for_distant_ones() -> None:
    """The second largest disagreement is next to the largest, the third is far."""
    pool = make_pool([{1: 1, 8: 1}] * 3, [0.10, 0.09, 0.08], [0.0, 0.01, 2.0])
    labelled = make_pool([{1: 1, 8: 1}] * 50, volumes=[9.0] * 50)

    chosen = choose(pool, labelled, 3)

    assert [choice.index for choice in chosen] == [0, 2, 1]
    assert [choice.distance for choice in chosen] == pytest.approx([9, 2, 0.01])


def test_leverages_are_those_of_the_fit_to_what_is_labelled_and_chosen() -> None:
    """Against the hat matrix of a ridge regression, solved anew for every choice."""
    pool, labelled = draw_pool(30), draw_pool(15, seed=1)
    pool = Pool(pool.counts, np.zeros(30), pool.features)

    known = labelled.counts / labelled.counts.sum(axis=1, keepdims=True)
    for choice in choose(pool, labelled, 10):
        x = pool.counts[choice.index] / pool.counts[choice.index].sum()
        ridge = (SCATTER / PRIOR) ** 2 * np.eye(94)
        expected = x @ np.linalg.solve(known.T @ known + ridge, x)
        assert choice.leverage == pytest.approx(expected)
        known = np.vstack([known, x])


def test_the_expected_gain_is_the_drop_of_the_error_that_bayes_expects() -> None:
    """Against references drawn from the prior and fitted to simulated labels."""
    pool, labelled = draw_pool(20), draw_pool(15, seed=1)
    pool = Pool(pool.counts, np.zeros(20), pool.features)
    choice = choose(pool, labelled, 1)[0]
    fractions = pool.counts / pool.counts.sum(axis=1, keepdims=True)
    known = labelled.counts / labelled.counts.sum(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    shifts = rng.normal(0, PRIOR, (94, 20_000))

    def error_with(design: NDArray[np.float64]) -> float:
        labels = design @ shifts + rng.normal(0, SCATTER, (len(design), 20_000))
        ridge = (SCATTER / PRIOR) ** 2 * np.eye(94)
        fitted = np.linalg.solve(design.T @ design + ridge, design.T @ labels)
        return float(np.sqrt(np.mean((fractions @ (fitted - shifts)) ** 2)))

    drop = error_with(known) - error_with(np.vstack([known, fractions[choice.index]]))

    assert choice.expected_gain == pytest.approx(drop, rel=0.03)


def test_labels_of_chosen_structures_leave_less_error_than_random_ones() -> None:
    """References fitted to as many labels with scatter as twice the elements."""
    pool = draw_pool(300)
    fractions = pool.counts / pool.counts.sum(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    exact = fractions @ rng.normal(0, PRIOR, 94)
    energies = exact + rng.normal(0, SCATTER, 300)

    def error_after(chosen: list[Choice]) -> float:
        rows = [choice.index for choice in chosen]
        fitted = np.linalg.lstsq(fractions[rows], energies[rows])[0]
        return float(np.abs(fractions @ fitted - exact).mean())

    random = [choose(pool, NOTHING, 24, Strategy.RANDOM, seed) for seed in range(20)]

    error = error_after(choose(pool, NOTHING, 24))
    assert error < 0.7 * np.median([error_after(chosen) for chosen in random])


def test_random_choices_are_uniform() -> None:
    """Every candidate is chosen equally often, whatever its expected gain."""
    pool = make_pool([{1: 1}, {1: 1}, {3: 1, 8: 1}, {92: 1}], [0, 0.1, 0, 0])

    chosen = [
        choice.index
        for seed in range(500)
        for choice in choose(pool, NOTHING, 2, Strategy.RANDOM, seed)
    ]

    frequencies = np.bincount(chosen) / 500
    assert frequencies == pytest.approx([0.5] * 4, abs=4 * 0.5 / np.sqrt(500))


def test_a_pool_smaller_than_the_batch_is_chosen_whole() -> None:
    for strategy in Strategy:
        chosen = choose(draw_pool(3), NOTHING, 5, strategy)

        assert sorted(choice.index for choice in chosen) == [0, 1, 2]


def test_nothing_is_chosen_from_an_empty_pool() -> None:
    assert choose(NOTHING, draw_pool(3), 2) == []


def test_less_than_one_candidate_cannot_be_chosen() -> None:
    with pytest.raises(InputError, match="1 or more candidates to choose, got 0"):
        choose(draw_pool(3), NOTHING, 0)


def test_tables_of_other_shapes_are_rejected() -> None:
    pool = draw_pool(3)
    narrow = Pool(pool.counts, pool.disagreement, pool.features[:, 1:])

    with pytest.raises(InputError, match=r"equal lengths and widths.*\(3, 94\)"):
        choose(narrow, pool, 1)


def test_a_candidate_without_a_disagreement_is_rejected() -> None:
    with pytest.raises(InputError, match="expected finite numbers"):
        choose(make_pool([{1: 1}], [float("nan")]), NOTHING, 1)
