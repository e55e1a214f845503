"""Decomposition of pymatgen entries as one record per entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.stability.decomposition import decompose
from nextrung.compute.stability.entries import EntryTable
from nextrung.schemas.base import InputError
from nextrung.schemas.stability import CompetingPhase, Competitors, DecompositionRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.entries import Entry

    from nextrung.compute.stability.decomposition import Decomposition


def score_decomposition(
    entries: Sequence[Entry],
    competitors: Competitors | str = Competitors.OTHER_COMPOSITIONS,
) -> list[DecompositionRecord]:
    """Score the decomposition of every entry into the others.

    Parameters
    ----------
    entries : sequence of pymatgen entries
        Entries of any chemical systems, with a composition and a total energy in eV.
    competitors : Competitors or str
        Which entries compete with an entry: `other_compositions` or `self`.

    Returns
    -------
    list of DecompositionRecord
        One record per entry, in the order given. Where the energy is not finite, or an
        element has no entry of its own, ``error`` says so.

    Raises
    ------
    InputError
        If there is no entry, two entries have the same id, or the rule of competitors
        is unknown.

    Notes
    -----
    Elements decompose into their ground state, whose decomposition energy is zero,
    with either choice of competitors.
    """
    if not entries:
        raise InputError("expected at least one entry to decompose, got none")
    if competitors not in set(Competitors):
        known = ", ".join(Competitors)
        raise InputError(f"competitors: expected one of {known}, got {competitors!r}")
    table = EntryTable.from_entries(entries)
    return list_records(decompose(table, Competitors(competitors)))


def list_records(decomposition: Decomposition) -> list[DecompositionRecord]:
    """List one record per entry.

    Parameters
    ----------
    decomposition : Decomposition
        Decomposition of the entries.

    Returns
    -------
    list of DecompositionRecord
        One record per entry, in order.
    """
    table, errors = decomposition.table, decomposition.errors
    columns = zip(
        table.entry_ids,
        table.reduce_formulas(),
        decomposition.energies.tolist(),
        decomposition.energies_above_hull.tolist(),
        decomposition.formation_energies.tolist(),
        list_competing_phases(decomposition),
        strict=True,
    )
    return [
        DecompositionRecord(entry_id=name, formula=formula, error=errors[row])
        if row in errors
        else DecompositionRecord(
            entry_id=name,
            formula=formula,
            decomposition_energy_per_atom=energy,
            energy_above_hull=above_hull,
            formation_energy_per_atom=formation,
            competing_phases=phases,
        )
        for row, (name, formula, energy, above_hull, formation, phases) in enumerate(
            columns
        )
    ]


def list_competing_phases(
    decomposition: Decomposition,
) -> list[tuple[CompetingPhase, ...]]:
    """List the decomposition products of every entry.

    Parameters
    ----------
    decomposition : Decomposition
        Decomposition of the entries.

    Returns
    -------
    list of tuple of CompetingPhase
        Products of each entry, largest amount first.
    """
    names = decomposition.table.entry_ids
    formulas = decomposition.table.reduce_formulas()
    return [
        tuple(
            CompetingPhase(
                entry_id=names[product], formula=formulas[product], amount=share
            )
            for product, share in zip(products, shares, strict=True)
            if product >= 0
        )
        for products, shares in zip(
            decomposition.products.tolist(), decomposition.shares.tolist(), strict=True
        )
    ]
