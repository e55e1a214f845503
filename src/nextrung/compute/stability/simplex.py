"""Revised simplex method for many small, dense linear programmes.

One linear programme finds the lowest-energy mixture of phases at one composition. It
has as many rows as the composition has elements, rarely more than six, so the inverse
of the basis is stored and a step costs one pass over the phases. Costs are formation
energies; the elements, of cost zero, are the initial basis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Tolerance of optimality: largest reduced cost in eV/atom that is taken for zero.
OPTIMALITY = 1e-11
#: Smallest pivot, and smallest step that counts as progress.
PIVOT = 1e-10
#: Steps after which the inverse of the basis is computed anew.
REFRESH = 30
#: Steps without progress after which Bland's rule prevents cycling.
STALL = 30
#: Maximum number of steps of a linear programme.
MAX_STEPS = 20_000


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def minimise_mixture(
    phases: NDArray[np.float64],
    costs: NDArray[np.float64],
    target: NDArray[np.float64],
) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """Find the lowest-energy mixture of phases with a given composition.

    Parameters
    ----------
    phases : ndarray of float, shape (n_phases, n_elements)
        Atomic fractions of each phase; the first ``n_elements`` are the elements.
    costs : ndarray of float, shape (n_phases,)
        Formation energy of each phase in eV/atom, zero for the elements; infinite for
        an excluded phase.
    target : ndarray of float, shape (n_elements,)
        Atomic fractions of the mixture.

    Returns
    -------
    cost : float
        Formation energy of the mixture in eV/atom; NaN without convergence.
    basis : ndarray of int, shape (n_elements,)
        Phases of the mixture.
    amounts : ndarray of float, shape (n_elements,)
        Fraction of the atoms in each of them, possibly zero.
    """
    basis = np.arange(len(target))
    inverse = np.eye(len(target))
    amounts = target.copy()
    stalled = 0
    for step in range(1, MAX_STEPS):
        reduced = _reduce_costs(phases, costs, costs[basis] @ inverse)
        entering = _choose_entering(reduced, stalled)
        if entering < 0:
            return float(costs[basis] @ amounts), basis, amounts
        direction = inverse @ phases[entering]
        leaving = _choose_leaving(amounts, direction, basis)
        if leaving < 0:
            break
        length = max(amounts[leaving] / direction[leaving], 0.0)
        stalled = stalled + 1 if length < PIVOT else 0
        basis[leaving] = entering
        amounts -= length * direction
        amounts[leaving] = length
        _pivot(inverse, direction, leaving)
        if step % REFRESH == 0:
            _refresh(inverse, phases, basis)
            amounts = inverse @ target
    return np.nan, basis, amounts


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _reduce_costs(
    phases: NDArray[np.float64],
    costs: NDArray[np.float64],
    dual: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute the reduced cost of every phase."""
    reduced = costs.copy()
    for phase in range(len(costs)):
        for element in range(len(dual)):
            reduced[phase] -= dual[element] * phases[phase, element]
    return reduced


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _choose_entering(reduced: NDArray[np.float64], stalled: int) -> int:
    """Find the phase of the lowest reduced cost, or the first below 0; -1 for none."""
    below = reduced < -OPTIMALITY
    entering = np.argmax(below) if stalled > STALL else np.argmin(reduced)
    return int(entering) if below[entering] else -1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _choose_leaving(
    amounts: NDArray[np.float64],
    direction: NDArray[np.float64],
    basis: NDArray[np.int64],
) -> int:
    """Find the row whose amount reaches zero first; ties go to the first phase."""
    leaving = -1
    shortest = np.inf
    for row in range(len(amounts)):
        if direction[row] > PIVOT:
            length = max(amounts[row], 0.0) / direction[row]
            if length < shortest or (
                length == shortest and basis[row] < basis[leaving]
            ):
                leaving = row
                shortest = length
    return leaving


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pivot(
    inverse: NDArray[np.float64], direction: NDArray[np.float64], leaving: int
) -> None:
    """Update the inverse of the basis after one phase was exchanged."""
    inverse[leaving] /= direction[leaving]
    for row in range(len(direction)):
        if row != leaving:
            inverse[row] -= direction[row] * inverse[leaving]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _refresh(
    inverse: NDArray[np.float64],
    phases: NDArray[np.float64],
    basis: NDArray[np.int64],
) -> None:
    """Compute the inverse of the basis by Gauss-Jordan elimination with pivoting."""
    size = len(basis)
    matrix = np.ascontiguousarray(phases[basis].T)
    inverse[:] = np.eye(size)
    for column in range(size):
        pivot = column + np.argmax(np.abs(matrix[column:, column]))
        for table in (matrix, inverse):
            row = table[pivot].copy()
            table[pivot] = table[column]
            table[column] = row
        inverse[column] /= matrix[column, column]
        matrix[column] /= matrix[column, column]
        for other in range(size):
            if other != column:
                factor = matrix[other, column]
                inverse[other] -= factor * inverse[column]
                matrix[other] -= factor * matrix[column]
