"""Paired differences of errors."""

from __future__ import annotations

import numpy as np
import pytest

from nextrung.reports.sections.verdicts.differences import paired_difference

MATERIALS = [str(index) for index in range(50)]


def test_the_same_small_lead_on_every_material_is_shown() -> None:
    """The errors spread by 100, the second is larger by 1 on each material."""
    errors = np.random.default_rng(0).uniform(0, 100, 50)

    found = paired_difference(errors.tolist(), (errors + 1).tolist(), MATERIALS)

    assert found is not None
    assert found.mean == pytest.approx(-1)
    assert found.relative == pytest.approx(-1 / (errors + 1).mean())
    assert found.is_lower
    assert found.low < found.relative < found.high < 0


def test_a_lead_by_chance_is_not_shown() -> None:
    """The smaller mean of two draws from the same distribution."""
    first, second = np.random.default_rng(1).uniform(0, 100, (2, 50)).tolist()

    found = paired_difference(first, second, MATERIALS)

    assert found is not None
    assert found.mean != 0
    assert not found.is_lower
    assert not found.is_higher


def test_frames_of_one_material_count_as_one_draw() -> None:
    """The same 50 values, in 50 and in 5 materials: the interval widens."""
    first, second = np.random.default_rng(2).uniform(0, 100, (2, 5)).repeat(10, axis=1)
    few = [str(index // 10) for index in range(50)]

    narrow = paired_difference(first.tolist(), second.tolist(), MATERIALS)
    wide = paired_difference(first.tolist(), second.tolist(), few)

    assert narrow is not None
    assert wide is not None
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_frames_count_by_their_weight() -> None:
    found = paired_difference(
        [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], MATERIALS[:5], weights=[6, 1, 1, 1, 1]
    )

    assert found is not None
    assert found.mean == pytest.approx(0.6)


def test_below_five_materials_there_is_no_interval() -> None:
    assert paired_difference([0, 0, 0, 0], [1, 1, 1, 1], MATERIALS[:4]) is None
    assert paired_difference([], [], []) is None


def test_differences_are_shown_in_per_cent_of_the_other_error() -> None:
    found = paired_difference([1.0] * 5, [2.0] * 5, MATERIALS[:5])
    equal = paired_difference([0.0] * 5, [0.0] * 5, MATERIALS[:5])

    assert found is not None
    assert found.format() == "−50 % (−50 to −50)".replace("−", "\N{MINUS SIGN}")
    assert equal is not None
    assert equal.format() == "the other error is zero"


def test_no_error_can_fall_by_more_than_all_of_it() -> None:
    """The baseline's errors vary tenfold between materials, with the model's."""
    baseline = np.random.default_rng(3).exponential(size=50) + 0.1

    found = paired_difference((baseline / 10).tolist(), baseline.tolist(), MATERIALS)

    assert found is not None
    assert (found.relative, found.low, found.high) == pytest.approx((-0.9, -0.9, -0.9))


def test_no_interval_goes_below_the_whole_error() -> None:
    """Without error on most materials, and a large one on some."""
    first = [0.0] * 48 + [3.0, 5.0]

    found = paired_difference(first, [1.0] * 50, MATERIALS)

    assert found is not None
    assert found.low >= -1
    assert found.low < found.relative < found.high


def test_rounding_is_no_difference() -> None:
    """The same network with other references: 29.13 against 29.13 meV/atom."""
    errors = np.random.default_rng(4).uniform(0.01, 0.1, 50)

    found = paired_difference((errors + 1e-16).tolist(), errors.tolist(), MATERIALS)

    assert found is not None
    assert not found.is_higher
    assert not found.is_lower


def test_equal_models_are_told_apart_in_about_one_of_twenty_studies() -> None:
    """Twelve materials with heavy-tailed errors; 5 % expected, 2 to 8 % by chance."""
    rng = np.random.default_rng(5)
    n_shown = 0
    for _ in range(300):
        first, second = rng.exponential(size=(2, 12)) + 0.2 * rng.exponential(size=12)
        found = paired_difference(first.tolist(), second.tolist(), MATERIALS[:12])
        assert found is not None
        n_shown += found.is_lower or found.is_higher
    assert n_shown / 300 < 0.08
