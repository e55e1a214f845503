"""Decomposition of pymatgen entries as records with names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.stability.decomposition import decompose
from nextrung.compute.stability.entries import EntryTable
from nextrung.schemas.base import InputError
from nextrung.schemas.stability import (
    CompetingPhase,
    Competitors,
    DecompositionRecord,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.compute.stability.decomposition import Decomposition
    from nextrung.compute.stability.entries import Entry


def score_decomposition(
    entries: Sequence[Entry],
    competitors: Competitors = Competitors.OTHER_COMPOSITIONS,
) -> list[DecompositionRecord]:
    """Score the decomposition of every entry among all the others.

    Parameters
    ----------
    entries : sequence of pymatgen entries
        Entries of any chemical systems, with a composition and a total energy in eV.
    competitors : Competitors
        Which entries an entry competes with.

    Returns
    -------
    list of DecompositionRecord
        One record per entry, in the order given. An entry whose energy is not finite,
        or that holds an element without an entry of its own, says so in ``error``.

    Raises
    ------
    InputError
        If there is no entry, or two entries have one id.

    Notes
    -----
    Elements decompose into their ground state, whose decomposition energy is zero,
    with either choice of competitors.
    """
    if not entries:
        raise InputError("expected at least one entry to decompose, got none")
    table = EntryTable.from_entries(entries)
    return list_records(table, decompose(table, competitors))


def list_records(
    table: EntryTable, decomposition: Decomposition
) -> list[DecompositionRecord]:
    """Write a decomposition down entry by entry.

    Parameters
    ----------
    table : EntryTable
        The entries.
    decomposition : Decomposition
        What they decompose into.

    Returns
    -------
    list of DecompositionRecord
        One record per entry, in order.
    """
    formulas = table.reduce_formulas()
    columns = zip(
        table.entry_ids,
        formulas,
        decomposition.energies.tolist(),
        decomposition.energies_above_hull.tolist(),
        decomposition.formation_energies.tolist(),
        list_competing_phases(table, decomposition),
        strict=True,
    )
    return [
        DecompositionRecord(
            entry_id=name, formula=formula, error=decomposition.errors[row]
        )
        if row in decomposition.errors
        else DecompositionRecord(
            entry_id=name,
            formula=formula,
            decomposition_energy_per_atom=energy,
            energy_above_hull=above_hull,
            formation_energy_per_atom=formation_energy,
            competing_phases=phases,
        )
        for row, (
            name,
            formula,
            energy,
            above_hull,
            formation_energy,
            phases,
        ) in enumerate(columns)
    ]


def list_competing_phases(
    table: EntryTable, decomposition: Decomposition
) -> list[tuple[CompetingPhase, ...]]:
    """Name the products of every entry.

    Parameters
    ----------
    table : EntryTable
        The entries.
    decomposition : Decomposition
        What they decompose into.

    Returns
    -------
    list of tuple of CompetingPhase
        Products of each entry, largest share first.
    """
    formulas = table.reduce_formulas()
    return [
        tuple(
            CompetingPhase(
                entry_id=table.entry_ids[product],
                formula=formulas[product],
                amount=share,
            )
            for product, share in zip(products, shares, strict=True)
            if product >= 0
        )
        for products, shares in zip(
            decomposition.products.tolist(), decomposition.shares.tolist(), strict=True
        )
    ]
