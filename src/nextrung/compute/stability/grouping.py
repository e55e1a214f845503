"""Entries grouped by composition, and compositions by chemical system."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from nextrung.compute.stability.entries import EntryTable

Element = TypeVar("Element", int, str)

#: Digits to which atomic fractions of equal compositions agree.
FRACTION_DIGITS = 10
#: Largest number of elements of a system whose subsets are enumerated.
MOST_ELEMENTS = 10


@dataclass(frozen=True, eq=False)
class Grouping:
    """Entries by composition and compositions by chemical system.

    Parameters
    ----------
    compositions : ndarray of int, shape (n_entries,)
        Composition of each entry; -1 for an entry without atoms or finite energy.
    representatives : ndarray of int, shape (n_compositions,)
        First entry of each composition.
    systems : ndarray of int, shape (n_compositions,)
        Chemical system of each composition.
    elements : list of tuple of int
        Elements of each chemical system, ascending.
    """

    compositions: NDArray[np.int64]
    representatives: NDArray[np.int64]
    systems: NDArray[np.int64]
    elements: list[tuple[int, ...]]


def group_entries(table: EntryTable) -> Grouping:
    """Group entries by composition, and compositions by chemical system.

    Parameters
    ----------
    table : EntryTable
        Entries of any chemical systems.

    Returns
    -------
    Grouping
        Compositions and systems in order of first occurrence.
    """
    offsets = table.offsets.tolist()
    elements = table.elements.tolist()
    fractions = np.round(table.fractions, FRACTION_DIGITS).tolist()
    systems: dict[tuple[int, ...], int] = {}
    seen: dict[tuple[int, tuple[float, ...]], int] = {}
    compositions = np.full(len(table), -1, dtype=np.int64)
    for entry in np.flatnonzero(np.isfinite(table.energies_per_atom)).tolist():
        part = slice(offsets[entry], offsets[entry + 1])
        system = systems.setdefault(tuple(elements[part]), len(systems))
        key = (system, tuple(fractions[part]))
        compositions[entry] = seen.setdefault(key, len(seen))
    _, representatives = np.unique(compositions[compositions >= 0], return_index=True)
    return Grouping(
        compositions=compositions,
        representatives=np.flatnonzero(compositions >= 0)[representatives],
        systems=np.array([system for system, _ in seen], dtype=np.int64),
        elements=list(systems),
    )


def find_subsystems(elements: list[tuple[int, ...]]) -> list[list[int]]:
    """List the subsystems of each chemical system, pure elements left out.

    Parameters
    ----------
    elements : list of tuple of int
        Elements of each chemical system, ascending.

    Returns
    -------
    list of list of int
        Known systems of two or more elements within each system, itself included.
    """
    numbers = {system: number for number, system in enumerate(elements)}
    return [
        [
            numbers[subset]
            for subset in list_subsets(system, numbers)
            if subset in numbers
        ]
        for system in elements
    ]


def list_subsets(
    system: tuple[Element, ...], known: Collection[tuple[Element, ...]]
) -> Iterable[tuple[Element, ...]]:
    """List candidates for known chemical systems within a system.

    Parameters
    ----------
    system : tuple
        Elements of a chemical system, ascending.
    known : collection of tuple
        Known chemical systems.

    Returns
    -------
    iterable of tuple
        All subsets of two or more elements; for large systems the known ones only.
    """
    if len(system) > MOST_ELEMENTS:
        return [
            other for other in known if len(other) > 1 and set(system).issuperset(other)
        ]
    return [
        subset
        for size in range(2, len(system) + 1)
        for subset in combinations(system, size)
    ]


def rank_polymorphs(
    table: EntryTable, compositions: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the two entries of lowest energy at each composition.

    Parameters
    ----------
    table : EntryTable
        Entries of any chemical systems.
    compositions : ndarray of int, shape (n_entries,)
        Composition of each entry; -1 for an entry to leave out.

    Returns
    -------
    lowest : ndarray of int, shape (n_compositions,)
        Entry of the lowest energy; the first of equal ones.
    second : ndarray of int, shape (n_compositions,)
        Entry of the second lowest energy; -1 for a composition of one entry.
    """
    order = np.lexsort((table.energies_per_atom, compositions))
    order = order[compositions[order] >= 0]
    starts = np.flatnonzero(np.diff(compositions[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    lowest = order[starts]
    second = np.full(len(starts), -1, dtype=np.int64)
    second[counts > 1] = order[starts[counts > 1] + 1]
    return lowest, second
