"""Coverage of the intervals in simulated scaling laws of known truth."""

from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.scaling_law.crossings import find_crossing
from nextrung.compute.scaling_law.intervals import bound_crossing, bound_size
from nextrung.compute.scaling_law.laws import size_for_error
from nextrung.compute.scaling_law.lines import Curve, FittedLine
from nextrung.schemas.models import Model

N_TRIALS = 500
#: Slope and intercept of transfer and scratch; they cross at 1e5 frames.
TRANSFER, SCRATCH = (-0.3, -0.5), (-0.6, 1.0)


def simulate(
    line: tuple[float, float], n_points: int, noise: float, rng: np.random.Generator
) -> Curve:
    """Simulate trainings of 1e3 to 1e5 frames whose log10(error) has some noise."""
    x = np.linspace(3, 5, n_points)
    y = line[0] * x + line[1] + rng.normal(0, noise, n_points)
    return Curve(sizes=10**x, errors=10**y)


def count_covered(ends: list[tuple[float | None, float | None]], truth: float) -> float:
    """Compute the fraction of intervals that hold the truth."""
    return float(
        np.mean(
            [low is not None and low <= truth <= (high or np.inf) for low, high in ends]
        )
    )


@pytest.mark.parametrize("noise_of_scratch", [0.03, 0.06])
@pytest.mark.parametrize("n_points", [3, 4, 5, 8])
def test_intervals_of_the_crossing_hold_it_in_95_of_100_simulations(
    n_points: int, noise_of_scratch: float
) -> None:
    rng = np.random.default_rng(n_points)
    crossings = [
        find_crossing(
            simulate(TRANSFER, n_points, 0.03, rng),
            simulate(SCRATCH, n_points, noise_of_scratch, rng),
        )
        for _ in range(N_TRIALS)
    ]

    covered = count_covered([(c.low, c.high) for c in crossings], 1e5)
    assert 0.92 <= covered <= 0.98


@pytest.mark.parametrize("truth", [1e4, 3e5])
@pytest.mark.parametrize("n_points", [4, 5, 8])
def test_intervals_of_a_required_size_hold_it_in_95_of_100_simulations(
    n_points: int, truth: float
) -> None:
    """Within the data, and at three times the largest size."""
    rng = np.random.default_rng(n_points)
    wanted = 10 ** (SCRATCH[0] * np.log10(truth) + SCRATCH[1])
    sizes = [
        size_for_error(simulate(SCRATCH, n_points, 0.05, rng), wanted, Model.SCRATCH)
        for _ in range(N_TRIALS)
    ]

    covered = count_covered([(size.low, size.high) for size in sizes], truth)
    assert 0.92 <= covered <= 0.98


def make_line(slope: float, intercept: float, covariance: float) -> FittedLine:
    """Make a line whose slope is uncertain about x = 4."""
    pivot = np.array([[1.0, -4.0], [-4.0, 16.0]])
    centre = np.array([[0.0, 0.0], [0.0, 1.0]])
    return FittedLine(
        np.array([slope, intercept]), covariance * (pivot + 0.01 * centre), n_free=3
    )


EXACT = make_line(0.0, 0.0, 0.0)


def test_a_transfer_that_leads_by_an_uncertain_slope_is_crossed_above_the_data() -> (
    None
):
    """Transfer is ahead by 1 at x = 4, for certain; the slopes may be equal."""
    ends = bound_crossing(make_line(0.1, -1.4, 0.1), EXACT)

    assert ends is not None
    assert 4 < ends[0] < 14
    assert ends[1] == np.inf


def test_a_scratch_that_leads_by_an_uncertain_slope_is_crossed_below_the_data() -> None:
    ends = bound_crossing(make_line(0.1, 0.6, 0.1), EXACT)

    assert ends is not None
    assert ends[0] == -np.inf
    assert ends[1] < 4


def test_lines_that_scatter_more_than_they_differ_may_cross_anywhere() -> None:
    assert bound_crossing(make_line(0.1, -0.4, 100.0), EXACT) == (-np.inf, np.inf)


def test_lines_that_cross_the_other_way_have_no_interval() -> None:
    assert bound_crossing(make_line(-1.0, 4.0, 1e-6), EXACT) is None
    assert bound_size(make_line(1.0, -4.0, 1e-6), 1.0) is None
