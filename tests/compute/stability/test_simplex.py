from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from nextrung.compute.stability import simplex
from nextrung.compute.stability.simplex import minimise_mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELEMENTS = np.eye(2)


def draw_programme(
    seed: int, n_elements: int, n_compounds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compounds of small whole numbers, so that many mixtures are degenerate."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (n_compounds, n_elements))
    counts[counts.sum(axis=1) == 0, 0] = 1
    phases = np.vstack([np.eye(n_elements), counts / counts.sum(axis=1)[:, None]])
    costs = np.concatenate([np.zeros(n_elements), -rng.random(n_compounds).round(1)])
    target = rng.integers(1, 5, n_elements)
    return phases, costs, target / target.sum()


def test_a_mixture_of_elements_has_no_formation_energy() -> None:
    target = np.array([0.25, 0.75])

    cost, basis, amounts = minimise_mixture(ELEMENTS, np.zeros(2), target)

    assert cost == 0
    assert dict(zip(basis, amounts, strict=True)) == {0: 0.25, 1: 0.75}


def test_a_stable_compound_has_the_largest_possible_share() -> None:
    """AB at -1 eV/atom in A1B3: half of the atoms are in AB."""
    phases = np.vstack([ELEMENTS, [[0.5, 0.5]]])

    cost, basis, amounts = minimise_mixture(
        phases, np.array([0, 0, -1.0]), np.array([0.25, 0.75])
    )

    assert cost == pytest.approx(-0.5)
    assert dict(zip(basis, amounts, strict=True)) == pytest.approx({2: 0.5, 1: 0.5})


def test_a_phase_of_infinite_cost_is_excluded() -> None:
    phases = np.vstack([ELEMENTS, [[0.5, 0.5]]])

    cost, basis, _ = minimise_mixture(
        phases, np.array([0, 0, np.inf]), np.array([0.25, 0.75])
    )

    assert cost == 0
    assert set(basis) == {0, 1}


@given(
    seed=st.integers(0, 2**32 - 1),
    n_elements=st.integers(1, 7),
    n_compounds=st.integers(0, 60),
)
def test_energies_of_mixtures_agree_with_highs(
    seed: int, n_elements: int, n_compounds: int
) -> None:
    phases, costs, target = draw_programme(seed, n_elements, n_compounds)

    cost, basis, amounts = minimise_mixture(phases, costs, target)

    oracle = linprog(costs, A_eq=phases.T, b_eq=target, method="highs")
    assert cost == pytest.approx(oracle.fun, abs=1e-10)
    np.testing.assert_allclose(amounts @ phases[basis], target, atol=1e-12)
    assert amounts.min() > -1e-12


def test_the_phase_of_lowest_cost_enters_and_the_first_after_a_stall() -> None:
    phases = np.vstack([ELEMENTS, [[0.5, 0.5], [0.2, 0.8], [0.3, 0.7]]])
    costs = np.array([0, 0, -0.1, -0.5, -0.2])

    reduced = simplex._reduce_costs(phases, costs, np.zeros(2))

    assert simplex._choose_entering(reduced, 0) == 3
    assert simplex._choose_entering(reduced, simplex.STALL + 1) == 2
    assert simplex._choose_entering(-reduced, 0) == -1
    assert simplex._choose_entering(-reduced, simplex.STALL + 1) == -1


def test_the_recomputed_inverse_is_the_inverse_of_the_basis() -> None:
    rng = np.random.default_rng(0)
    phases = rng.random((9, 5))
    phases[[1, 4]] = np.eye(5)[[2, 0]]  # zero pivots on the diagonal
    basis = np.array([4, 1, 7, 3, 8])
    inverse = np.empty((5, 5))

    simplex._refresh(inverse, phases, basis)

    np.testing.assert_allclose(inverse @ phases[basis].T, np.eye(5), atol=1e-10)
