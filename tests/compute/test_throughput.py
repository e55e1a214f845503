from __future__ import annotations

import pytest

from nextrung.compute.throughput import measure_busy_time


@pytest.mark.parametrize(
    ("runs", "seconds"),
    [
        ([], 0),
        ([(0, 2)], 2),
        ([(0, 2), (0, 2)], 2),
        ([(0, 2), (1, 3)], 3),
        ([(0, 10), (2, 3), (4, 11)], 11),
        ([(100, 101), (0, 1)], 2),
        ([(0, 1), (1, 2)], 2),
    ],
)
def test_overlapping_runs_are_counted_once(
    runs: list[tuple[float, float]], seconds: float
) -> None:
    assert measure_busy_time(runs) == seconds


def test_busy_time_does_not_depend_on_the_order_of_runs() -> None:
    runs = [(3.0, 9.0), (0.0, 1.0), (8.0, 12.0), (5.0, 6.0)]

    assert measure_busy_time(runs) == measure_busy_time(runs[::-1]) == 10
