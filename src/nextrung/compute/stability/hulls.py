"""Convex hulls of all chemical systems of a table of entries.

Systems are solved one after another in one thread: the linear programmes of 35,000
entries like those of the Materials Project take 0.1 s of the 2 s from entries to
records. A linear programme that does not converge leaves NaN at its composition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.stability.grouping import (
    find_subsystems,
    group_entries,
    rank_polymorphs,
)
from nextrung.compute.stability.hull_decompositions import (
    HullDecompositions,
    Phases,
    decompose_compositions,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.stability.entries import EntryTable
    from nextrung.compute.stability.grouping import Grouping


@dataclass(frozen=True, eq=False)
class Hulls:
    """Entries, their compositions, and the decomposition of each composition.

    Parameters
    ----------
    table : EntryTable
        The entries.
    grouping : Grouping
        Their compositions and chemical systems.
    lowest : ndarray of int, shape (n_compositions,)
        Entry of the lowest energy at each composition.
    second : ndarray of int, shape (n_compositions,)
        Entry of the second lowest energy; -1 for a composition of one entry.
    references : ndarray of float, shape (n_symbols,)
        Lowest energy of each element in eV/atom; NaN where it has no entry.
    formation : ndarray of float, shape (n_entries,)
        Formation energy of each entry in eV/atom; NaN where it is unknown.
    phases : Phases
        Input of the linear programmes.
    decompositions : HullDecompositions
        Decomposition of each composition into the others.
    """

    table: EntryTable
    grouping: Grouping
    lowest: NDArray[np.int64]
    second: NDArray[np.int64]
    references: NDArray[np.float64]
    formation: NDArray[np.float64]
    phases: Phases
    decompositions: HullDecompositions


def build_hulls(table: EntryTable) -> Hulls:
    """Compute the hulls of all chemical systems of a table.

    Parameters
    ----------
    table : EntryTable
        Entries of any chemical systems.

    Returns
    -------
    Hulls
        Decomposition of each composition into the others.
    """
    grouping = group_entries(table)
    lowest, second = rank_polymorphs(table, grouping.compositions)
    ground_states = _find_ground_states(table, grouping)
    references = np.full(len(table.symbols), np.nan)
    found = ground_states >= 0
    references[found] = table.energies_per_atom[lowest[ground_states[found]]]
    formation = table.formation_energies(references)
    phases = _arrange_phases(
        table, grouping, formation=formation[lowest], ground_states=ground_states
    )
    return Hulls(
        table=table,
        grouping=grouping,
        lowest=lowest,
        second=second,
        references=references,
        formation=formation,
        phases=phases,
        decompositions=decompose_compositions(phases),
    )


def _find_ground_states(table: EntryTable, grouping: Grouping) -> NDArray[np.int64]:
    """Find the composition of every pure element; -1 where it has no entry."""
    ground_states = np.full(len(table.symbols), -1, dtype=np.int64)
    for composition, system in enumerate(grouping.systems.tolist()):
        elements = grouping.elements[system]
        if len(elements) == 1:
            ground_states[elements[0]] = composition
    return ground_states


def _arrange_phases(
    table: EntryTable,
    grouping: Grouping,
    *,
    formation: NDArray[np.float64],
    ground_states: NDArray[np.int64],
) -> Phases:
    """Arrange compositions and systems as input of the linear programmes."""
    first = table.offsets[grouping.representatives]
    sizes = table.offsets[grouping.representatives + 1] - first
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    parts = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], sizes)
    n_members = np.bincount(grouping.systems, minlength=len(grouping.elements))
    subsystems = find_subsystems(grouping.elements)
    return Phases(
        offsets=offsets,
        elements=table.elements[parts],
        fractions=table.fractions[parts],
        formation=formation,
        ground_states=ground_states,
        members=np.argsort(grouping.systems, kind="stable"),
        member_offsets=np.concatenate([[0], np.cumsum(n_members)]),
        subsystems=np.array(
            [inner for part in subsystems for inner in part], dtype=np.int64
        ),
        subsystem_offsets=np.cumsum([0, *map(len, subsystems)]),
    )
