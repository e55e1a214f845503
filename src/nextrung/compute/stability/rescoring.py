"""Decomposition of entries anew where some of them have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition

from nextrung.compute.stability.decomposition import decompose
from nextrung.compute.stability.entries import EntryTable, name_entries
from nextrung.compute.stability.grouping import list_subsets
from nextrung.compute.stability.records import list_records
from nextrung.schemas.base import InputError
from nextrung.schemas.stability import Competitors

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nextrung.compute.stability.entries import Entry
    from nextrung.schemas.stability import DecompositionRecord

#: Symbols of a chemical system, sorted.
System = tuple[str, ...]


def rescore_decomposition(
    previous: Sequence[DecompositionRecord],
    entries: Sequence[Entry],
    changed_ids: Collection[str],
    *,
    competitors: Competitors = Competitors.OTHER_COMPOSITIONS,
) -> list[DecompositionRecord]:
    """Score entries of which some are new, have changed or are gone.

    Parameters
    ----------
    previous : sequence of DecompositionRecord
        Records before the change, of the same choice of competitors.
    entries : sequence of pymatgen entries
        All entries after the change.
    changed_ids : collection of str
        Entries whose energy or composition changed, added and removed ones included.
    competitors : Competitors
        Which entries an entry competes with.

    Returns
    -------
    list of DecompositionRecord
        What :func:`~nextrung.compute.stability.score_decomposition` gives for the
        entries. Only entries whose chemical system contains that of a changed one are
        scored anew, among the entries of their systems; the other records are those
        given.

    Raises
    ------
    InputError
        If two entries have one id, an id is that of no entry, or an entry that is
        not changed has no record.
    """
    names = name_entries(entries)
    records = {record.entry_id: record for record in previous}
    gone = records.keys() - set(names)
    _check_ids(names, records, changed_ids)
    systems = [_find_system(entry.composition) for entry in entries]
    by_name = dict(zip(names, systems, strict=True))
    changed = {by_name[name] for name in changed_ids if name in by_name} | {
        _find_system(Composition(records[name].formula or {}))
        for name in {*changed_ids, *gone}
        if name in records
    }
    affected = _find_supersystems(changed, set(systems))
    inner = _find_subsystems(affected, set(systems))
    rows = [row for row, system in enumerate(systems) if system in inner]
    table = EntryTable.from_compositions(
        [names[row] for row in rows],
        [entries[row].composition for row in rows],
        np.array([entries[row].energy for row in rows], dtype=np.float64),
    )
    for record in list_records(table, decompose(table, competitors)):
        if by_name[record.entry_id] in affected:
            records[record.entry_id] = record
    return [records[name] for name in names]


def _check_ids(
    names: Sequence[str],
    records: Mapping[str, DecompositionRecord],
    changed_ids: Collection[str],
) -> None:
    """Refuse ids of no entry, and entries of which nothing is known."""
    present = set(names)
    for name in changed_ids:
        if name not in present and name not in records:
            raise InputError(f"expected ids of changed entries, got {name} of none")
    for name in names:
        if name not in records and name not in changed_ids:
            raise InputError(
                f"expected a previous record of every unchanged entry, got none of "
                f"{name}"
            )


def _find_system(composition: Composition) -> System:
    """Find the chemical system of a composition."""
    return tuple(sorted(composition.get_el_amt_dict()))


def _find_supersystems(
    changed: Collection[System], systems: Collection[System]
) -> set[System]:
    """Find the systems that contain a changed one."""
    return {
        system
        for system in systems
        if any(set(inner).issubset(system) for inner in changed if inner)
        or system in changed
    }


def _find_subsystems(
    affected: Collection[System], systems: Collection[System]
) -> set[System]:
    """Find the systems whose entries compete in an affected one."""
    elements = {(symbol,) for system in affected for symbol in system}
    subsets = {
        subset for system in affected for subset in list_subsets(system, systems)
    }
    return {*affected, *elements, *subsets}
