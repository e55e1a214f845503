from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student_t
from scipy.stats import ttest_1samp
from tests.compute.intervals.simulated import errors_of, name

from nextrung.compute.intervals import adjust_holm
from nextrung.compute.intervals.differences import PairedErrors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from nextrung.compute.intervals import PairedDifference


def compare(
    a: ArrayLike,
    b: ArrayLike,
    material_ids: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
) -> PairedDifference:
    pair = (errors_of(each, material_ids, weights=weights) for each in (a, b))
    found = PairedErrors([(next(pair), next(pair))], ["0"]).compare()
    assert found is not None
    return found


def test_difference_and_ratio_are_of_weighted_means() -> None:
    found = compare([3.0, 2.0, 4.0, 1.0, 2.0], [1.0] * 5, weights=[1, 2, 1, 1, 5])
    assert found.difference == pytest.approx((2 + 2 + 3 + 0 + 5) / 10)
    assert found.ratio == pytest.approx(2.2)
    assert found.reference == 1


def test_swapped_models_have_the_inverse_ratio() -> None:
    a, b = np.random.default_rng(0).exponential(size=(2, 30))
    there, back = compare(a, b), compare(b, a)
    assert there.reverse() == pytest.approx(back)


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.4, 0.6])
def test_the_interval_holds_one_where_the_p_value_says_so(shift: float) -> None:
    for seed in range(20):
        a, b = np.random.default_rng(seed).exponential(size=(2, 15))
        found = compare(a * np.exp(shift), b)
        assert (found.low <= 1 <= found.high) == (found.p_value >= 0.05)


def test_pairing_finds_what_two_separate_intervals_hide() -> None:
    """Hard materials are hard for both models; their difference is small and even."""
    hard = np.random.default_rng(0).lognormal(size=40)
    found = compare(0.9 * hard, hard)
    assert (found.ratio, found.low, found.high) == pytest.approx((0.9, 0.9, 0.9))
    assert found.p_value == 0


def test_copies_of_a_frame_are_no_new_materials() -> None:
    a, b = np.random.default_rng(1).exponential(size=(2, 12))
    copies = compare(np.repeat(a, 9), np.repeat(b, 9), name(12, 9))
    assert copies == pytest.approx(compare(a, b))


def test_frames_of_one_material_count_as_one_draw() -> None:
    """The same 50 values, in 50 and in 5 materials: the interval widens."""
    a, b = np.random.default_rng(2).uniform(0, 100, (2, 5)).repeat(10, axis=1)
    narrow, wide = compare(a, b), compare(a, b, name(5, 10))
    assert wide.high / wide.low > 2 * narrow.high / narrow.low


def test_thousands_of_materials_have_the_p_value_of_a_paired_t_test() -> None:
    """Of each error relative to the mean error of its model."""
    a, b = np.random.default_rng(3).exponential(size=(2, 3000))
    log_ratio = np.log(a.mean() / b.mean())
    expected = ttest_1samp(a / a.mean() - b / b.mean() + log_ratio, 0)
    found = compare(a, b)
    low, high = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.01)
    assert np.log([found.low, found.high]) == pytest.approx([low, high], rel=0.01)


def test_the_standard_error_is_that_of_the_jackknife() -> None:
    """Ten materials of two frames each: the log ratio without each of them."""
    a, b = np.random.default_rng(1).exponential(size=(2, 20))
    materials = np.repeat(np.arange(10), 2)
    left = [
        np.log(a[materials != m].mean() / b[materials != m].mean()) for m in range(10)
    ]
    error = np.sqrt(9 / 10 * np.sum((np.array(left) - np.mean(left)) ** 2))
    found = compare(a, b, name(10, 2))
    reach = student_t.ppf(0.975, 9) * error
    assert np.log(found.low) <= np.log(found.ratio) - reach + 1e-9
    assert np.log(found.high) >= np.log(found.ratio) + reach - 1e-9
    ends = np.log(found.ratio) - np.log(found.low), np.log(found.high / found.ratio)
    assert min(ends) == pytest.approx(reach, rel=1e-6)


def test_equal_errors_are_no_difference() -> None:
    found = compare([1.0] * 8, [1.0] * 8)
    assert (found.ratio, found.low, found.high, found.p_value) == (1, 1, 1, 1)


def test_rounding_is_no_difference() -> None:
    """The same network with other references: 29.13 against 29.13 meV/atom."""
    errors = np.random.default_rng(4).uniform(0.01, 0.1, 50)
    assert compare(errors * (1 + 1e-15), errors).p_value == 1


def test_no_errors_of_either_model_are_no_difference() -> None:
    found = compare([0.0] * 8, [0.0] * 8)
    assert (found.difference, found.ratio, found.p_value) == (0, 1, 1)


def test_a_model_without_errors_has_all_of_the_error_less() -> None:
    found = compare([0.0] * 8, [1.0] * 8)
    assert found.ratio == pytest.approx(0, abs=1e-8)
    assert found.high < 1e-8
    assert found.p_value == 0


def test_fewer_than_five_materials_are_not_compared() -> None:
    few = errors_of([1.0] * 12, name(4, 3))
    assert PairedErrors([(few, few)], ["0"]).compare() is None
    assert PairedErrors([], []).compare() is None


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_tests() -> None:
    assert adjust_holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert adjust_holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=9))
def test_adjusted_p_values_keep_their_order(p_values: list[float]) -> None:
    adjusted = adjust_holm(p_values)
    by_raw = sorted(range(len(p_values)), key=lambda test: p_values[test])
    assert [adjusted[test] for test in by_raw] == sorted(adjusted)
    assert all(p <= new <= 1 for p, new in zip(p_values, adjusted, strict=True))
