"""All hulls of a table of entries, and their repair after a change of energies.

Systems are solved one after another in one thread. The hulls of 35,000 entries like
those of the Materials Project take 0.1 s of the 2 s from entries to records, so that
more threads would save nothing; the hulls of different models are different jobs.
Memory holds the flat arrays of all entries and the competitors of one system at a time.
A programme that fails leaves NaN at its composition, which becomes a row with an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    allocate_decompositions,
    fill_decompositions,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.stability.entries import EntryTable
    from nextrung.compute.stability.grouping import Grouping


@dataclass(frozen=True, eq=False)
class Hulls:
    """Entries, their compositions, and the mixture that competes with each of these.

    Parameters
    ----------
    table : EntryTable
        The entries.
    grouping : Grouping
        Their compositions and chemical systems.
    lowest : ndarray of int, shape (n_compositions,)
        Entry of the lowest energy at each composition.
    second : ndarray of int, shape (n_compositions,)
        Entry that follows; -1 for a composition of one entry.
    references : ndarray of float, shape (n_symbols,)
        Lowest energy of each element in eV/atom; NaN where it has no entry.
    formation : ndarray of float, shape (n_entries,)
        Formation energy of each entry in eV/atom; NaN where it is unknown.
    phases : Phases
        What the linear programmes read.
    mixtures : HullDecompositions
        What they found.
    """

    table: EntryTable
    grouping: Grouping
    lowest: NDArray[np.int64]
    second: NDArray[np.int64]
    references: NDArray[np.float64]
    formation: NDArray[np.float64]
    phases: Phases
    mixtures: HullDecompositions


def build_hulls(table: EntryTable) -> Hulls:
    """Compute all hulls of a table.

    Parameters
    ----------
    table : EntryTable
        Entries of any chemical systems.

    Returns
    -------
    Hulls
        The mixture that competes with each composition.
    """
    grouping = group_entries(table)
    lowest, second = rank_polymorphs(table, grouping.compositions)
    references = _find_references(table, grouping, lowest)
    formation = table.formation_energies(references)
    phases = _arrange_phases(table, grouping, formation[lowest])
    mixtures = allocate_decompositions(phases)
    fill_decompositions(phases, np.arange(len(grouping.elements)), mixtures)
    return Hulls(
        table=table,
        grouping=grouping,
        lowest=lowest,
        second=second,
        references=references,
        formation=formation,
        phases=phases,
        mixtures=mixtures,
    )


def update_hulls(hulls: Hulls, energies: NDArray[np.float64]) -> Hulls:
    """Compute the hulls anew where energies have changed.

    Parameters
    ----------
    hulls : Hulls
        Hulls before the change; they stay as they are.
    energies : ndarray of float, shape (n_entries,)
        Total energies of the same entries in eV.

    Returns
    -------
    Hulls
        What :func:`build_hulls` would return. Only chemical systems that contain a
        changed one are computed, unless an entry has won or lost its energy.
    """
    table = replace(hulls.table, energies=energies)
    known = hulls.grouping.compositions >= 0
    if not np.array_equal(np.isfinite(table.energies_per_atom), known):
        return build_hulls(table)
    lowest, second = rank_polymorphs(table, hulls.grouping.compositions)
    references = _find_references(table, hulls.grouping, lowest)
    formation = table.formation_energies(references)
    phases = hulls.phases._replace(formation=formation[lowest])
    mixtures = HullDecompositions(
        formation=hulls.mixtures.formation.copy(),
        products=hulls.mixtures.products.copy(),
        shares=hulls.mixtures.shares.copy(),
    )
    fill_decompositions(phases, list_affected(hulls, phases.formation), mixtures)
    return replace(
        hulls,
        table=table,
        lowest=lowest,
        second=second,
        references=references,
        formation=formation,
        phases=phases,
        mixtures=mixtures,
    )


def list_affected(hulls: Hulls, formation: NDArray[np.float64]) -> NDArray[np.int64]:
    """List the chemical systems that new formation energies have an effect on.

    Parameters
    ----------
    hulls : Hulls
        Hulls before the change.
    formation : ndarray of float, shape (n_compositions,)
        Lowest formation energy of each composition in eV/atom after the change.

    Returns
    -------
    ndarray of int
        Systems that contain the elements of a composition whose energy changed.
    """
    phases = hulls.phases
    same = np.isclose(formation, phases.formation, rtol=0, atol=0, equal_nan=True)
    n_systems = len(hulls.grouping.elements)
    changed = np.zeros(n_systems, dtype=bool)
    changed[hulls.grouping.systems[~same]] = True
    containing = np.repeat(np.arange(n_systems), np.diff(phases.subsystem_offsets))
    return np.unique(containing[changed[phases.subsystems]])


def _find_references(
    table: EntryTable, grouping: Grouping, lowest: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Find the lowest energy per atom of every element; NaN where it has no entry."""
    ground_states = _find_ground_states(table, grouping)
    references = np.full(len(table.symbols), np.nan)
    found = ground_states >= 0
    references[found] = table.energies_per_atom[lowest[ground_states[found]]]
    return references


def _find_ground_states(table: EntryTable, grouping: Grouping) -> NDArray[np.int64]:
    """Find the composition of every pure element; -1 where it has no entry."""
    ground_states = np.full(len(table.symbols), -1, dtype=np.int64)
    for composition, system in enumerate(grouping.systems.tolist()):
        elements = grouping.elements[system]
        if len(elements) == 1:
            ground_states[elements[0]] = composition
    return ground_states


def _arrange_phases(
    table: EntryTable, grouping: Grouping, formation: NDArray[np.float64]
) -> Phases:
    """Lay compositions and systems out as the linear programmes read them."""
    first = table.offsets[grouping.representatives]
    sizes = table.offsets[grouping.representatives + 1] - first
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    parts = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], sizes)
    n_systems = len(grouping.elements)
    n_members = np.bincount(grouping.systems, minlength=n_systems)
    subsystems = find_subsystems(grouping.elements)
    return Phases(
        offsets=offsets,
        elements=table.elements[parts],
        fractions=table.fractions[parts],
        formation=formation,
        ground_states=_find_ground_states(table, grouping),
        members=np.argsort(grouping.systems, kind="stable"),
        member_offsets=np.concatenate([[0], np.cumsum(n_members)]),
        subsystems=np.array(
            [inner for part in subsystems for inner in part], dtype=np.int64
        ),
        subsystem_offsets=np.cumsum([0, *map(len, subsystems)]),
    )
