"""Decomposition of every composition of a table into the other compositions.

One linear programme per composition is enough for both decomposition energy and energy
above hull: the hull is convex, so the phases of a composition lower it there to their
own energy and no further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from nextrung.compute.stability.simplex import minimise_mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Phases(NamedTuple):
    """Compositions and chemical systems in flat arrays.

    Attributes
    ----------
    offsets : ndarray of int, shape (n_compositions + 1,)
        Fractions of composition ``i`` are ``offsets[i]:offsets[i + 1]``.
    elements : ndarray of int, shape (n_fractions,)
        Index of the element, ascending within a composition.
    fractions : ndarray of float, shape (n_fractions,)
        Atomic fractions.
    formation : ndarray of float, shape (n_compositions,)
        Lowest formation energy in eV/atom; NaN where an elemental reference is missing.
    ground_states : ndarray of int, shape (n_elements,)
        Composition of each pure element; -1 where there is none.
    members : ndarray of int, shape (n_compositions,)
        Compositions, sorted by system.
    member_offsets : ndarray of int, shape (n_systems + 1,)
        Members of system ``s`` are ``member_offsets[s]:member_offsets[s + 1]``.
    subsystems : ndarray of int
        Systems of two elements or more within each system, itself included.
    subsystem_offsets : ndarray of int, shape (n_systems + 1,)
        Subsystems of ``s`` are ``subsystem_offsets[s]:subsystem_offsets[s + 1]``.
    """

    offsets: NDArray[np.int64]
    elements: NDArray[np.int64]
    fractions: NDArray[np.float64]
    formation: NDArray[np.float64]
    ground_states: NDArray[np.int64]
    members: NDArray[np.int64]
    member_offsets: NDArray[np.int64]
    subsystems: NDArray[np.int64]
    subsystem_offsets: NDArray[np.int64]


class HullDecompositions(NamedTuple):
    """Lowest-energy mixture of other compositions at every composition.

    Attributes
    ----------
    formation : ndarray of float, shape (n_compositions,)
        Formation energy of the mixture in eV/atom; NaN where there is none.
    products : ndarray of int, shape (n_compositions, n_products)
        Compositions of the mixture, padded with -1.
    shares : ndarray of float, shape (n_compositions, n_products)
        Fraction of the atoms in each of them.
    """

    formation: NDArray[np.float64]
    products: NDArray[np.int64]
    shares: NDArray[np.float64]


def decompose_compositions(phases: Phases) -> HullDecompositions:
    """Find the lowest-energy mixture of other compositions at every composition.

    The mixture at an element is the element.

    Parameters
    ----------
    phases : Phases
        Compositions and chemical systems.

    Returns
    -------
    HullDecompositions
        Mixture at every composition.
    """
    shape = (len(phases.formation), int(np.diff(phases.offsets).max(initial=1)))
    found = HullDecompositions(
        formation=np.full(shape[0], np.nan),
        products=np.full(shape, -1, dtype=np.int64),
        shares=np.zeros(shape),
    )
    _fill(phases, found)
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(phases: Phases, found: HullDecompositions) -> None:
    """Fill in the mixture at every composition, system by system."""
    for system in range(len(phases.member_offsets) - 1):
        names, columns, costs = _gather_competitors(phases, system)
        first, last = phases.member_offsets[system], phases.member_offsets[system + 1]
        for target in phases.members[first:last]:
            if np.isnan(phases.formation[target]):
                continue
            fractions = phases.fractions[
                phases.offsets[target] : phases.offsets[target + 1]
            ]
            own = names == target
            own[: len(fractions)] = False
            allowed = np.where(own, np.inf, costs)
            cost, basis, shares = minimise_mixture(columns, allowed, fractions)
            found.formation[target] = cost
            for row in range(len(basis)):
                found.products[target, row] = names[basis[row]]
                found.shares[target, row] = max(shares[row], 0.0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _gather_competitors(
    phases: Phases, system: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """List the elements of a system and its compounds of negative formation energy."""
    first = phases.members[phases.member_offsets[system]]
    elements = phases.elements[phases.offsets[first] : phases.offsets[first + 1]]
    compounds = _list_compounds(phases, system)
    column_of = np.full(len(phases.ground_states), -1)
    column_of[elements] = np.arange(len(elements))
    names = np.concatenate((phases.ground_states[elements], compounds))
    columns = np.zeros((len(names), len(elements)))
    costs = np.zeros(len(names))
    for row in range(len(names)):
        if row < len(elements):
            columns[row, row] = 1.0
        else:
            costs[row] = phases.formation[names[row]]
            for part in range(
                phases.offsets[names[row]], phases.offsets[names[row] + 1]
            ):
                columns[row, column_of[phases.elements[part]]] = phases.fractions[part]
    return names, columns, costs


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _list_compounds(phases: Phases, system: int) -> NDArray[np.int64]:
    """List the compounds within a system that have a negative formation energy."""
    inner = phases.subsystems[
        phases.subsystem_offsets[system] : phases.subsystem_offsets[system + 1]
    ]
    compounds = [
        member
        for part in inner
        for member in phases.members[
            phases.member_offsets[part] : phases.member_offsets[part + 1]
        ]
        if phases.formation[member] < 0
    ]
    return np.array(compounds, dtype=np.int64)
