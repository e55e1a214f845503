"""Intervals of means over materials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from nextrung.compute.intervals import MIN_MATERIALS, estimate_interval


def name(n_materials: int, n_frames: int = 1) -> list[str]:
    return [f"m-{place}" for place in range(n_materials) for _ in range(n_frames)]


def test_many_normal_values_have_the_interval_of_students_t() -> None:
    values = 10 + np.random.default_rng(1).normal(size=200)
    reach = t.ppf(0.975, 199) * values.std(ddof=1) / np.sqrt(200)
    found = estimate_interval(values, name(200), n_resamples=4000)
    expected = (values.mean() - reach, values.mean() + reach)
    assert found == pytest.approx(expected, abs=0.2 * reach)


def test_a_long_tail_reaches_further_up_than_down() -> None:
    values = np.random.default_rng(1).exponential(size=20)
    found = estimate_interval(values, name(20))
    assert found is not None
    assert found[1] - values.mean() > 1.3 * (values.mean() - found[0])


def test_the_interval_of_an_error_does_not_reach_below_zero() -> None:
    found = estimate_interval([0.0, 0.0, 0.01, 0.02, 5.0], name(5))
    assert found is not None
    assert found[0] == 0


def test_the_interval_of_a_signed_difference_may_hold_zero() -> None:
    found = estimate_interval([-1.0, 2.0, -1.5, 1.0, -0.2, 0.1], name(6))
    assert found is not None
    assert found[0] < 0 < found[1]


def test_copies_of_a_frame_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(1).exponential(size=50)
    once = estimate_interval(values, name(50))
    assert estimate_interval(np.repeat(values, 9), name(50, 9)) == pytest.approx(once)


def test_equal_values_have_an_interval_of_zero_width() -> None:
    assert estimate_interval([2.0] * 10, name(10)) == (2.0, 2.0)


def test_fewer_than_five_materials_have_no_interval() -> None:
    few = MIN_MATERIALS - 1
    assert estimate_interval([1.0] * 9 * few, name(few, 9)) is None
    assert estimate_interval([], []) is None


def test_the_interval_depends_on_the_seed() -> None:
    values = np.random.default_rng(1).exponential(size=20)
    assert estimate_interval(values, name(20), seed=3) == estimate_interval(
        values, name(20), seed=3
    )
    assert estimate_interval(values, name(20), seed=3) != estimate_interval(
        values, name(20), seed=4
    )


def test_a_weight_of_two_counts_a_value_twice() -> None:
    """Two atoms of one frame weigh as much as two frames of one atom."""
    values, names = [1.0, 2.0, 4.0, 3.0, 7.0, 5.0], ["a", "b", "c", "d", "e", "f"]
    weights = [1, 2, 1, 3, 1, 2]
    repeated = [
        (v, n) for v, n, w in zip(values, names, weights, strict=True) for _ in range(w)
    ]

    assert estimate_interval(values, names, weights=weights) == pytest.approx(
        estimate_interval([v for v, _ in repeated], [n for _, n in repeated])
    )
