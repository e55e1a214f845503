"""Update of decomposition records after some entries have changed."""

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

    from pymatgen.entries import Entry

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
    """Update decomposition records after entries were added, changed or removed.

    Parameters
    ----------
    previous : sequence of DecompositionRecord
        Records before the change, with the same choice of competitors.
    entries : sequence of pymatgen entries
        All entries after the change.
    changed_ids : collection of str
        Ids of entries whose energy or composition changed, or that were added or
        removed.
    competitors : Competitors
        Which entries compete with an entry.

    Returns
    -------
    list of DecompositionRecord
        The result of :func:`~nextrung.compute.stability.score_decomposition` for the
        entries. Only entries whose chemical system contains that of a changed one are
        scored again; the other records are taken from ``previous``.

    Raises
    ------
    InputError
        If two entries have the same id, a changed id is unknown, or an unchanged entry
        has no previous record.
    """
    names = name_entries(entries)
    records = {record.entry_id: record for record in previous}
    gone = records.keys() - set(names)
    _validate_ids(names, records, changed_ids)
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
    for record in list_records(decompose(table, competitors)):
        if by_name[record.entry_id] in affected:
            records[record.entry_id] = record
    return [records[name] for name in names]


def _validate_ids(
    names: Sequence[str],
    records: Mapping[str, DecompositionRecord],
    changed_ids: Collection[str],
) -> None:
    """Validate that changed ids are known and that other entries have records."""
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
    """Find the systems that contain a changed system."""
    return {
        system
        for system in systems
        if any(set(inner).issubset(system) for inner in changed if inner)
        or system in changed
    }


def _find_subsystems(
    affected: Collection[System], systems: Collection[System]
) -> set[System]:
    """Find the systems whose entries compete in an affected system."""
    elements = {(symbol,) for system in affected for symbol in system}
    subsets = {
        subset for system in affected for subset in list_subsets(system, systems)
    }
    return {*affected, *elements, *subsets}
