"""FIRE, the fast inertial relaxation engine, for batches of systems.

Each system has consecutive rows of three coordinates and a time step, a mixing and a
counter of its own, so that it moves as it would alone. The arithmetic is ASE's [1]_.

References
----------
.. [1] ``ase.optimize.fire.FIRE`` (ASE 3.29), after E. Bitzek et al., Phys. Rev. Lett.
   97, 170201 (2006), doi 10.1103/PhysRevLett.97.170201.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

import numpy as np

from nextrung.potentials.relaxation.system_batch import SystemBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: First and largest time step.
TIME_STEP: Final = 0.1
MAX_TIME_STEP: Final = 1.0
#: Largest norm of the displacement of a system in Å.
MAX_DISPLACEMENT: Final = 0.2
#: Steps downhill before the time step grows.
N_DELAY_STEPS: Final = 5
#: Factors by which the time step grows and shrinks.
GROWTH: Final = 1.1
CUT: Final = 0.5
#: First mixing of the force's direction into the velocity, and its decay.
MIXING: Final = 0.1
MIXING_DECAY: Final = 0.99


@dataclass(frozen=True, eq=False)
class FireState(SystemBatch):
    """State of FIRE for a batch of systems, between two steps.

    Parameters
    ----------
    n_rows : ndarray of int, shape (n_systems,)
        Rows of each system.
    velocities : ndarray of float, shape (n_rows.sum(), 3)
        Velocities, system after system.
    time_steps : ndarray of float, shape (n_systems,)
        Time step of each system.
    mixings : ndarray of float, shape (n_systems,)
        Share of the force's direction in the velocity of each system.
    n_downhill : ndarray of int, shape (n_systems,)
        Steps of each system since its last one uphill.
    moving : ndarray of bool, shape (n_systems,)
        Whether the system has made a step.
    """

    ROW_FIELDS: ClassVar = frozenset({"velocities"})

    n_rows: NDArray[np.int64]
    velocities: NDArray[np.float64]
    time_steps: NDArray[np.float64]
    mixings: NDArray[np.float64]
    n_downhill: NDArray[np.int64]
    moving: NDArray[np.bool_]

    @classmethod
    def at_rest(cls, n_rows: NDArray[np.int64]) -> Self:
        """Initialise systems that have not moved.

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


def step_fire(
    state: FireState, forces: NDArray[np.float64]
) -> tuple[FireState, NDArray[np.float64]]:
    """Compute one step of every system.

    Parameters
    ----------
    state : FireState
        State before the step.
    forces : ndarray of float, shape (n_rows.sum(), 3)
        Forces in eV/Å.

    Returns
    -------
    state : FireState
        State after the step.
    displacements : ndarray of float, shape (n_rows.sum(), 3)
        Displacement of each row in Å.
    """
    power = _sum_rows(state, forces * state.velocities)
    downhill = (power > 0) & state.moving
    uphill = ~downhill & state.moving
    accelerated = downhill & (state.n_downhill > N_DELAY_STEPS)
    time_steps = np.where(
        accelerated,
        np.minimum(state.time_steps * GROWTH, MAX_TIME_STEP),
        state.time_steps,
    )
    time_steps = np.where(uphill, time_steps * CUT, time_steps)
    mixings = np.where(accelerated, state.mixings * MIXING_DECAY, state.mixings)
    steps_of_rows = np.repeat(time_steps, state.n_rows)[:, None]
    velocities = _mix_velocities(state, forces, downhill) + steps_of_rows * forces
    moved = FireState(
        n_rows=state.n_rows,
        velocities=velocities,
        time_steps=time_steps,
        mixings=np.where(uphill, MIXING, mixings),
        n_downhill=np.where(downhill, state.n_downhill + 1, 0),
        moving=np.ones_like(state.moving),
    )
    return moved, _limit_displacements(moved, steps_of_rows * velocities)


def sum_components(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the components of each row.

    Parameters
    ----------
    rows : ndarray of float, shape (n_rows, 3)
        Rows.

    Returns
    -------
    ndarray of float, shape (n_rows,)
        The bits of ``rows.sum(axis=1)``, which takes four times as long.
    """
    sums: NDArray[np.float64] = rows[:, 0] + rows[:, 1] + rows[:, 2]
    return sums


def _mix_velocities(
    state: FireState, forces: NDArray[np.float64], downhill: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mix the direction of the forces into velocities; stop systems going uphill."""
    speeds = np.sqrt(_sum_rows(state, state.velocities**2))
    norms = np.sqrt(_sum_rows(state, forces**2))
    nonzero_norms = np.where(norms > 0, norms, 1.0)
    kept = np.where(downhill, 1.0 - state.mixings, 0.0)
    mixed = np.where(downhill, state.mixings * speeds / nonzero_norms, 0.0)
    velocities: NDArray[np.float64] = (
        np.repeat(kept, state.n_rows)[:, None] * state.velocities
        + np.repeat(mixed, state.n_rows)[:, None] * forces
    )
    return velocities


def _limit_displacements(
    state: FireState, displacements: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scale the displacement of a system down to the largest norm allowed."""
    lengths = np.sqrt(_sum_rows(state, displacements**2))
    scales = MAX_DISPLACEMENT / np.maximum(lengths, MAX_DISPLACEMENT)
    limited: NDArray[np.float64] = (
        np.repeat(scales, state.n_rows)[:, None] * displacements
    )
    return limited


def _sum_rows(state: FireState, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum all components of the rows of each system."""
    starts = np.cumsum(state.n_rows) - state.n_rows
    sums: NDArray[np.float64] = np.add.reduceat(sum_components(rows), starts)
    return sums
