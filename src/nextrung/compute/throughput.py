"""Time during which jobs ran, the base of throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def measure_busy_time(runs: Iterable[tuple[float, float]]) -> float:
    """Measure the time during which at least one job ran.

    Parameters
    ----------
    runs : iterable of (float, float)
        Start and end of each job in s.

    Returns
    -------
    float
        Length of the union of all intervals in s.
    """
    busy, reached = 0.0, float("-inf")
    for start, end in sorted(runs):
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return busy
