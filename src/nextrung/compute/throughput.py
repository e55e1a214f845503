"""How much was done in the time in which anything ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def measure_busy_time(runs: Iterable[tuple[float, float]]) -> float:
    """Measure the time during which at least one run went on.

    Parameters
    ----------
    runs : iterable of (float, float)
        Start and end of each run in s.

    Returns
    -------
    float
        Length in s of the union of all runs; pauses between them do not count.
    """
    busy, reached = 0.0, float("-inf")
    for start, end in sorted(runs):
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return busy
