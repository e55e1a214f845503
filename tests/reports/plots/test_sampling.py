"""Sampling of points."""

from __future__ import annotations

import numpy as np

from nextrung.reports.plots.sampling import (
    MAX_POINTS,
    N_EXTREME,
    choose_points,
    count_neighbours,
)


def test_few_points_are_all_drawn_without_a_note() -> None:
    assert choose_points(3) == ([0, 1, 2], "")


def test_of_many_points_a_fixed_number_is_drawn_once_each() -> None:
    chosen, note = choose_points(3 * MAX_POINTS)
    assert len(set(chosen)) == len(chosen) == MAX_POINTS
    assert "4,000 of 12,000 points" in note
    assert choose_points(3 * MAX_POINTS)[0] == chosen


def test_the_largest_errors_are_always_drawn() -> None:
    errors = np.random.default_rng(1).normal(size=2 * MAX_POINTS)
    chosen, _ = choose_points(len(errors), errors)
    largest = np.argsort(-np.abs(errors))[:N_EXTREME]
    assert set(largest) <= set(chosen)
    assert len(set(chosen)) == MAX_POINTS


def test_density_counts_the_points_of_a_bin() -> None:
    x = np.array([0.0, 0.01, 0.02, 1.0])
    density = count_neighbours(x, x, n_bins=10)
    np.testing.assert_allclose(10**density, [3, 3, 3, 1])
