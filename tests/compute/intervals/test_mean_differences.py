from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from nextrung.compute.intervals.mean_differences import compare_paired
from nextrung.schemas.base import InputError


def name(n_materials: int, n_frames: int = 1) -> list[str]:
    return [f"m-{index}" for index in range(n_materials) for _ in range(n_frames)]


def test_the_difference_is_the_weighted_mean_of_pairs() -> None:
    found = compare_paired(
        [3.0, 2.0, 4.0, 1.0, 2.0],
        [1.0, 1.0, 1.0, 1.0, 1.0],
        name(5),
        weights=[1, 2, 1, 1, 5],
    )
    assert found is not None
    assert found.difference == pytest.approx((2 + 2 + 3 + 0 + 5) / 10)


def test_swapped_models_have_the_opposite_difference() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.exponential(size=(2, 30))
    there, back = compare_paired(a, b, name(30)), compare_paired(b, a, name(30))
    assert there is not None
    assert back is not None
    assert there.difference == -back.difference
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p_value == back.p_value


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.4, 0.6])
def test_the_interval_holds_zero_where_the_p_value_says_so(shift: float) -> None:
    for seed in range(20):
        values = shift + np.random.default_rng(seed).standard_t(3, size=15)
        found = compare_paired(values, np.zeros(15), name(15))
        assert found is not None
        assert (found.low <= 0 <= found.high) == (found.p_value >= 0.05)


def test_pairing_finds_what_two_separate_intervals_hide() -> None:
    """Hard materials are hard for both models; their difference is small and even."""
    rng = np.random.default_rng(0)
    hard = rng.lognormal(size=40)
    found = compare_paired(0.9 * hard, hard, name(40))
    assert found is not None
    assert found.high < 0


def test_copies_of_a_frame_are_no_new_materials() -> None:
    values = 0.3 + np.random.default_rng(1).normal(size=12)
    once = compare_paired(values, np.zeros(12), name(12))
    copies = compare_paired(np.repeat(values, 9), np.zeros(108), name(12, 9))
    assert copies == pytest.approx(once)


def test_thousands_of_materials_have_the_p_value_of_a_paired_t_test() -> None:
    values = 0.03 + np.random.default_rng(3).standard_t(4, size=3000)
    found = compare_paired(values, np.zeros(3000), name(3000))
    expected = ttest_1samp(values, 0)
    assert found is not None
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95))


def test_equal_errors_are_no_difference() -> None:
    found = compare_paired([1.0] * 8, [1.0] * 8, name(8))
    assert found == (0, 0, 0, 1)


def test_the_same_difference_everywhere_is_no_chance() -> None:
    found = compare_paired([2.0] * 8, [1.0] * 8, name(8))
    assert found == (1, 1, 1, 0)


def test_fewer_than_five_materials_are_not_compared() -> None:
    assert compare_paired([1.0] * 12, [2.0] * 12, name(4, 3)) is None
    assert compare_paired([], [], []) is None


def test_unpaired_values_are_rejected() -> None:
    with pytest.raises(InputError, match=r"expected as many .* got \[5, 6\]"):
        compare_paired([1.0] * 6, [1.0] * 5, name(6))
