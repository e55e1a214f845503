from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.scaling_law import Curve, is_out_of_reach

SIZES = np.array([100.0, 108.0, 116.0, 124.0, 132.0])


def make_curve(slope: float, scatter: float = 0.0, n_points: int = 5) -> Curve:
    """Errors of 0.05 eV/atom at 100 frames, with alternating scatter."""
    signs = (-1.0) ** np.arange(len(SIZES))
    errors = 0.05 * (SIZES / 100) ** slope * (1 + scatter * signs)
    return Curve(sizes=SIZES[:n_points], errors=errors[:n_points])


def test_a_target_beyond_the_budget_is_out_of_reach() -> None:
    """0.05 (n / 100)^-0.5 is 0.02 at 625 frames."""
    assert is_out_of_reach(make_curve(-0.5, 0.001), 0.02, 300)


def test_a_target_within_the_budget_is_not_out_of_reach() -> None:
    assert not is_out_of_reach(make_curve(-0.5, 0.001), 0.02, 700)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.5])
def test_scattered_errors_never_put_a_target_out_of_reach(slope: float) -> None:
    """Their interval allows sizes within the budget."""
    assert not is_out_of_reach(make_curve(slope, 0.2), 0.02, 300)


def test_three_rounds_never_put_a_target_out_of_reach() -> None:
    assert not is_out_of_reach(make_curve(-0.01, n_points=3), 0.02, 110)


def test_errors_that_rise_for_certain_put_any_target_out_of_reach() -> None:
    assert is_out_of_reach(make_curve(0.5, 0.001), 0.02, 1e6)
