"""FIRE, the fast inertial relaxation engine, over many systems at once.

Each system owns consecutive rows of three coordinates and has a time step, a mixing and
a counter of its own, so that it moves as it would alone. The arithmetic is ASE's [1]_.

References
----------
.. [1] ``ase.optimize.fire.FIRE`` (ASE 3.29), after E. Bitzek et al., Phys. Rev. Lett.
   97, 170201 (2006), doi 10.1103/PhysRevLett.97.170201.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: First and largest time step.
TIME_STEP: Final = 0.1
MAX_TIME_STEP: Final = 1.0
#: Longest step of a whole system in Å.
MAX_DISPLACEMENT: Final = 0.2
#: Steps downhill before the time step grows.
PATIENCE: Final = 5
#: Growth and cut of the time step.
GROWTH: Final = 1.1
CUT: Final = 0.5
#: First share of the force's direction in the velocity, and its decay.
MIXING: Final = 0.1
MIXING_DECAY: Final = 0.99


@dataclass(frozen=True, eq=False)
class FireState:
    """What FIRE remembers of each system between two steps.

    Parameters
    ----------
    n_rows : ndarray of int, shape (n_systems,)
        Rows of each system.
    velocities : ndarray of float, shape (n_rows.sum(), 3)
        Velocities, system after system.
    time_steps : ndarray of float, shape (n_systems,)
        Time step.
    mixings : ndarray of float, shape (n_systems,)
        Share of the force's direction in the velocity.
    n_downhill : ndarray of int, shape (n_systems,)
        Steps since the last one uphill.
    moving : ndarray of bool, shape (n_systems,)
        Whether the system has made a step.
    """

    n_rows: NDArray[np.int64]
    velocities: NDArray[np.float64]
    time_steps: NDArray[np.float64]
    mixings: NDArray[np.float64]
    n_downhill: NDArray[np.int64]
    moving: NDArray[np.bool_]

    @classmethod
    def at_rest(cls, n_rows: NDArray[np.int64]) -> Self:
        """Prepare systems that have not moved yet.

        Parameters
        ----------
        n_rows : ndarray of int, shape (n_systems,)
            Rows of each system, at least one.

        Returns
        -------
        FireState
            The state before the first step.
        """
        n_systems = len(n_rows)
        return cls(
            n_rows=n_rows,
            velocities=np.zeros((int(n_rows.sum()), 3)),
            time_steps=np.full(n_systems, TIME_STEP),
            mixings=np.full(n_systems, MIXING),
            n_downhill=np.zeros(n_systems, dtype=np.int64),
            moving=np.zeros(n_systems, dtype=np.bool_),
        )

    def keep(self, systems: NDArray[np.bool_]) -> FireState:
        """Forget all but some systems.

        Parameters
        ----------
        systems : ndarray of bool, shape (n_systems,)
            Which to keep.

        Returns
        -------
        FireState
            The state of those, in the same order.
        """
        return FireState(
            n_rows=self.n_rows[systems],
            velocities=self.velocities[np.repeat(systems, self.n_rows)],
            time_steps=self.time_steps[systems],
            mixings=self.mixings[systems],
            n_downhill=self.n_downhill[systems],
            moving=self.moving[systems],
        )

    def join(self, other: FireState) -> FireState:
        """Append other systems.

        Parameters
        ----------
        other : FireState
            Systems to put behind these.

        Returns
        -------
        FireState
            Both, these first.
        """
        return FireState(
            n_rows=np.concatenate([self.n_rows, other.n_rows]),
            velocities=np.concatenate([self.velocities, other.velocities]),
            time_steps=np.concatenate([self.time_steps, other.time_steps]),
            mixings=np.concatenate([self.mixings, other.mixings]),
            n_downhill=np.concatenate([self.n_downhill, other.n_downhill]),
            moving=np.concatenate([self.moving, other.moving]),
        )


def step_fire(
    state: FireState, forces: NDArray[np.float64]
) -> tuple[FireState, NDArray[np.float64]]:
    """Make one step of every system.

    Parameters
    ----------
    state : FireState
        What is remembered of ``n_systems`` systems.
    forces : ndarray of float, shape (n_rows.sum(), 3)
        Forces in eV/Å.

    Returns
    -------
    state : FireState
        What to remember for the next step.
    displacements : ndarray of float, shape (n_rows.sum(), 3)
        By how much to move each row in Å.
    """
    power = _sum_rows(state, forces * state.velocities)
    downhill = (power > 0) & state.moving
    uphill = ~downhill & state.moving
    eager = downhill & (state.n_downhill > PATIENCE)
    time_steps = np.where(
        eager, np.minimum(state.time_steps * GROWTH, MAX_TIME_STEP), state.time_steps
    )
    time_steps = np.where(uphill, time_steps * CUT, time_steps)
    mixings = np.where(eager, state.mixings * MIXING_DECAY, state.mixings)
    spread_steps = np.repeat(time_steps, state.n_rows)[:, None]
    velocities = _turn(state, forces, downhill) + spread_steps * forces
    moved = FireState(
        n_rows=state.n_rows,
        velocities=velocities,
        time_steps=time_steps,
        mixings=np.where(uphill, MIXING, mixings),
        n_downhill=np.where(downhill, state.n_downhill + 1, 0),
        moving=np.ones_like(state.moving),
    )
    return moved, _shorten(moved, spread_steps * velocities)


def _turn(
    state: FireState, forces: NDArray[np.float64], downhill: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Turn velocities towards the forces; stop the systems that go uphill."""
    speeds = np.sqrt(_sum_rows(state, state.velocities**2))
    strengths = np.sqrt(_sum_rows(state, forces**2))
    safe_strengths = np.where(strengths > 0, strengths, 1.0)
    kept = np.where(downhill, 1.0 - state.mixings, 0.0)
    gained = np.where(downhill, state.mixings * speeds / safe_strengths, 0.0)
    velocities: NDArray[np.float64] = (
        np.repeat(kept, state.n_rows)[:, None] * state.velocities
        + np.repeat(gained, state.n_rows)[:, None] * forces
    )
    return velocities


def _shorten(
    state: FireState, displacements: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scale the step of a system down to the longest allowed."""
    lengths = np.sqrt(_sum_rows(state, displacements**2))
    scales = MAX_DISPLACEMENT / np.maximum(lengths, MAX_DISPLACEMENT)
    shortened: NDArray[np.float64] = (
        np.repeat(scales, state.n_rows)[:, None] * displacements
    )
    return shortened


def _sum_rows(state: FireState, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum all components of each system."""
    starts = np.cumsum(state.n_rows) - state.n_rows
    sums: NDArray[np.float64] = np.add.reduceat(rows.sum(axis=1), starts)
    return sums
