from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.optimize import FIRE

from nextrung.potentials.relaxation.fire import MAX_DISPLACEMENT, FireState, step_fire

if TYPE_CHECKING:
    from numpy.typing import NDArray

STIFFNESSES = (0.5, 3.0, 60.0)
SIZES = (1, 4, 2)


class Springs(Calculator):  # type: ignore[misc]
    """Atoms on springs to the origin, softer along one axis."""

    implemented_properties = ("energy", "forces")

    def __init__(self, stiffness: float) -> None:
        super().__init__()
        self.stiffness = stiffness

    def calculate(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().calculate(*args, **kwargs)
        forces = pull(self.atoms.positions, self.stiffness)
        energy = -(forces * self.atoms.positions).sum() / 2
        self.results = {"energy": energy, "forces": forces}


def pull(positions: NDArray[np.float64], stiffness: float) -> NDArray[np.float64]:
    """Force of the springs."""
    forces: NDArray[np.float64] = -stiffness * positions * np.array([1.0, 0.3, 0.1])
    return forces


def walk_with_ase(
    positions: NDArray[np.float64], stiffness: float, n_steps: int
) -> NDArray[np.float64]:
    """Positions after each step of ASE's FIRE."""
    atoms = Atoms("H" * len(positions), positions, calculator=Springs(stiffness))
    optimizer = FIRE(atoms, logfile=None)
    path = []
    for _ in range(n_steps):
        optimizer.step()
        path.append(atoms.positions.copy())
    return np.array(path)


@pytest.fixture
def starts() -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(size, 3)) for size in SIZES]


def test_every_system_of_a_batch_walks_as_with_ase(
    starts: list[NDArray[np.float64]],
) -> None:
    """Soft, stiff and overshooting springs; uphill steps and long steps occur."""
    expected = [
        walk_with_ase(start, stiffness, 100)
        for start, stiffness in zip(starts, STIFFNESSES, strict=True)
    ]
    stiffnesses = np.repeat(STIFFNESSES, SIZES)[:, None]
    positions, state = np.concatenate(starts), FireState.at_rest(np.array(SIZES))

    for step in range(100):
        forces = -stiffnesses * positions * np.array([1.0, 0.3, 0.1])
        state, displacements = step_fire(state, forces)
        positions = positions + displacements

        walked = np.concatenate([path[step] for path in expected])
        np.testing.assert_allclose(positions, walked, rtol=0, atol=1e-12)
    assert np.unique(state.time_steps).size == len(SIZES)


def test_no_step_is_longer_than_the_longest() -> None:
    state = FireState.at_rest(np.array([2, 1]))

    _, displacements = step_fire(state, np.full((3, 3), 1e6))

    lengths = [np.linalg.norm(displacements[:2]), np.linalg.norm(displacements[2:])]
    assert lengths == pytest.approx([MAX_DISPLACEMENT, MAX_DISPLACEMENT])


def test_a_system_without_forces_rests() -> None:
    state = FireState.at_rest(np.array([2]))

    for _ in range(3):
        state, displacements = step_fire(state, np.zeros((2, 3)))

        np.testing.assert_array_equal(displacements, 0)


def test_leaving_and_boarding_change_no_bit_of_the_others(
    starts: list[NDArray[np.float64]],
) -> None:
    """Systems walk the same path alone as beside others that come and go."""
    alone, positions = FireState.at_rest(np.array([SIZES[1]])), starts[1]
    crowd = alone.join(FireState.at_rest(np.array([SIZES[0]])))
    crowd_positions = np.concatenate([starts[1], starts[0]])

    for step in range(20):
        alone, moves = step_fire(alone, pull(positions, 3.0))
        positions = positions + moves
        crowd, moves = step_fire(crowd, pull(crowd_positions, 3.0))
        crowd_positions = crowd_positions + moves
        if step == 10:
            crowd = crowd.keep(np.array([True, False]))
            crowd_positions = crowd_positions[: SIZES[1]]
            crowd = FireState.at_rest(np.array([SIZES[2]])).join(crowd)
            crowd_positions = np.concatenate([starts[2], crowd_positions])

    np.testing.assert_array_equal(crowd_positions[SIZES[2] :], positions)
    assert crowd.time_steps[1] == alone.time_steps[0]


def test_no_system_at_all_is_fine() -> None:
    state, displacements = step_fire(
        FireState.at_rest(np.zeros(0, dtype=np.int64)), np.zeros((0, 3))
    )

    assert len(state.time_steps) == 0
    assert displacements.shape == (0, 3)
