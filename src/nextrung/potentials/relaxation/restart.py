"""Restart points: states of unfinished relaxations, from which a later job resumes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

#: Interval at which restart points are saved, in s.
RESTART_INTERVAL: Final = 60.0


@dataclass(frozen=True, eq=False)
class RestartPoint:
    """State of one structure between two steps of its relaxation.

    Parameters
    ----------
    rows : ndarray of float, shape (n_atoms + 3, 3)
        Generalised coordinates.
    previous_rows : ndarray of float, shape (n_atoms + 3, 3)
        Generalised coordinates before the last step.
    velocities : ndarray of float, shape (n_atoms + 3, 3)
        Velocities of FIRE.
    time_step : float
        Time step of FIRE.
    mixing : float
        Mixing of FIRE.
    n_downhill : int
        Steps since the last one uphill.
    n_steps : int
        Steps done, at least one.
    initial_energy : float
        Energy of the initial structure in eV.
    """

    rows: NDArray[np.float64]
    previous_rows: NDArray[np.float64]
    velocities: NDArray[np.float64]
    time_step: float
    mixing: float
    n_downhill: int
    n_steps: int
    initial_energy: float


def _discard(_points: Mapping[int, RestartPoint]) -> None:
    """Discard restart points."""


@dataclass(eq=False)
class Restarts:
    """Restart points to resume from, and where new ones are saved.

    Parameters
    ----------
    points : mapping of int to RestartPoint
        Restart point by index of a structure; others start from their initial
        coordinates.
    save : callable of mapping of int to RestartPoint
        Function that saves restart points by index; by default they are discarded.
    """

    points: Mapping[int, RestartPoint] = field(default_factory=dict)
    save: Callable[[Mapping[int, RestartPoint]], None] = _discard

    def __post_init__(self) -> None:
        self._saved_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the interval since the last restart points has passed."""
        return time.monotonic() - self._saved_at >= RESTART_INTERVAL

    def update(self, points: Mapping[int, RestartPoint]) -> None:
        """Save the restart points of all structures that are under relaxation.

        Parameters
        ----------
        points : mapping of int to RestartPoint
            Restart point by index of a structure.
        """
        self._saved_at = time.monotonic()
        if points:
            self.save(points)
