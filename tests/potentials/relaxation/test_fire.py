from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.optimize import FIRE

from nextrung.potentials.relaxation.fire import (
    MAX_DISPLACEMENT,
    FireState,
    step_fire,
    sum_components,
)

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
        forces = spring_forces(self.atoms.positions, self.stiffness)
        energy = -(forces * self.atoms.positions).sum() / 2
        self.results = {"energy": energy, "forces": forces}


def spring_forces(
    positions: NDArray[np.float64], stiffness: float
) -> NDArray[np.float64]:
    """Force of the springs."""
    forces: NDArray[np.float64] = -stiffness * positions * np.array([1.0, 0.3, 0.1])
    return forces


def run_ase(
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


def test_every_system_of_a_batch_moves_as_with_ase(
    starts: list[NDArray[np.float64]],
) -> None:
    """Soft, stiff and overshooting springs; uphill steps and long steps occur."""
    expected = [
        run_ase(start, stiffness, 100)
        for start, stiffness in zip(starts, STIFFNESSES, strict=True)
    ]
    stiffnesses = np.repeat(STIFFNESSES, SIZES)[:, None]
    positions, state = np.concatenate(starts), FireState.at_rest(np.array(SIZES))

    for step in range(100):
        forces = -stiffnesses * positions * np.array([1.0, 0.3, 0.1])
        state, displacements = step_fire(state, forces)
        positions = positions + displacements

        expected_positions = np.concatenate([path[step] for path in expected])
        np.testing.assert_allclose(positions, expected_positions, rtol=0, atol=1e-12)
    assert np.unique(state.time_steps).size == len(SIZES)


def test_no_step_is_longer_than_the_longest() -> None:
    state = FireState.at_rest(np.array([2, 1]))

    _, displacements = step_fire(state, np.full((3, 3), 1e6))

    lengths = [np.linalg.norm(displacements[:2]), np.linalg.norm(displacements[2:])]
    assert lengths == pytest.approx([MAX_DISPLACEMENT, MAX_DISPLACEMENT])


def test_a_system_without_forces_does_not_move() -> None:
    state = FireState.at_rest(np.array([2]))

    for _ in range(3):
        state, displacements = step_fire(state, np.zeros((2, 3)))

        np.testing.assert_array_equal(displacements, 0)


def test_removed_and_added_systems_change_no_bit_of_the_others(
    starts: list[NDArray[np.float64]],
) -> None:
    """A system has the same path alone and in a batch that changes."""
    alone, positions = FireState.at_rest(np.array([SIZES[1]])), starts[1]
    batch = alone.join(FireState.at_rest(np.array([SIZES[0]])))
    batch_positions = np.concatenate([starts[1], starts[0]])

    for step in range(20):
        alone, moves = step_fire(alone, spring_forces(positions, 3.0))
        positions = positions + moves
        batch, moves = step_fire(batch, spring_forces(batch_positions, 3.0))
        batch_positions = batch_positions + moves
        if step == 10:
            batch = batch.keep(np.array([True, False]))
            batch_positions = batch_positions[: SIZES[1]]
            batch = FireState.at_rest(np.array([SIZES[2]])).join(batch)
            batch_positions = np.concatenate([starts[2], batch_positions])

    np.testing.assert_array_equal(batch_positions[SIZES[2] :], positions)
    assert batch.time_steps[1] == alone.time_steps[0]


def test_a_batch_of_no_system_can_step() -> None:
    state, displacements = step_fire(
        FireState.at_rest(np.zeros(0, dtype=np.int64)), np.zeros((0, 3))
    )

    assert len(state.time_steps) == 0
    assert displacements.shape == (0, 3)


def test_sums_of_components_have_the_bits_of_numpy() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 3)) ** 3

    np.testing.assert_array_equal(sum_components(rows), rows.sum(axis=1))
