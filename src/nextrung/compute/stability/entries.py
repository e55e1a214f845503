"""Entries of many chemical systems as flat arrays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
from pymatgen.core import Composition, Element

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.entries import Entry

    from nextrung.schemas.frames import Frames


@dataclass(frozen=True, eq=False)
class EntryTable:
    """Compositions and energies of entries in flat arrays.

    Parameters
    ----------
    entry_ids : list of str
        Unique id of each entry.
    symbols : list of str
        Symbols of the elements, sorted.
    offsets : ndarray of int, shape (n_entries + 1,)
        Amounts of entry ``i`` are ``offsets[i]:offsets[i + 1]``.
    elements : ndarray of int, shape (n_amounts,)
        Index of the element in ``symbols``, ascending within an entry.
    amounts : ndarray of float, shape (n_amounts,)
        Number of atoms of the element in the entry.
    energies : ndarray of float, shape (n_entries,)
        Total energies in eV, corrections included; NaN or infinite where missing.
    """

    entry_ids: list[str]
    symbols: list[str]
    offsets: NDArray[np.int64]
    elements: NDArray[np.int64]
    amounts: NDArray[np.float64]
    energies: NDArray[np.float64]

    def __len__(self) -> int:
        """Count the entries."""
        return len(self.entry_ids)

    @property
    def entry_of_amount(self) -> NDArray[np.int64]:
        """Index of the entry of each amount, shape (n_amounts,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def n_atoms(self) -> NDArray[np.float64]:
        """Number of atoms of each entry, shape (n_entries,)."""
        return np.bincount(self.entry_of_amount, self.amounts, len(self)).astype(float)

    @cached_property
    def fractions(self) -> NDArray[np.float64]:
        """Atomic fraction of each amount in its entry, shape (n_amounts,)."""
        return self.amounts / self.n_atoms[self.entry_of_amount]

    @cached_property
    def energies_per_atom(self) -> NDArray[np.float64]:
        """Energy of each entry in eV/atom, shape (n_entries,); NaN without atoms."""
        energies = np.full(len(self), np.nan)
        np.divide(self.energies, self.n_atoms, out=energies, where=self.n_atoms > 0)
        return energies

    def formation_energies(
        self, references: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Compute formation energies from elemental references.

        Parameters
        ----------
        references : ndarray of float, shape (n_symbols,)
            Energy of each element in eV/atom; NaN where it is unknown.

        Returns
        -------
        ndarray of float, shape (n_entries,)
            Formation energies in eV/atom; NaN where an energy is unknown.
        """
        elemental = np.bincount(
            self.entry_of_amount, self.fractions * references[self.elements], len(self)
        )
        return self.energies_per_atom - elemental

    def reduce_formulas(self) -> list[str]:
        """Reduce the formula of every entry."""
        symbols = [self.symbols[element] for element in self.elements.tolist()]
        pairs = list(zip(symbols, self.amounts.tolist(), strict=True))
        offsets = self.offsets.tolist()
        return [
            _reduce_formula(tuple(pairs[start:stop]))
            for start, stop in pairwise(offsets)
        ]

    def list_systems(self) -> list[str]:
        """List the chemical system of every entry, symbols joined by hyphens."""
        symbols = [self.symbols[element] for element in self.elements.tolist()]
        return [
            "-".join(symbols[start:stop])
            for start, stop in pairwise(self.offsets.tolist())
        ]

    @classmethod
    def from_entries(cls, entries: Sequence[Entry]) -> Self:
        """Build a table from pymatgen entries.

        Parameters
        ----------
        entries : sequence of pymatgen entries
            Entries with a composition and a total energy. The id of an entry without
            ``entry_id`` is its position.

        Returns
        -------
        EntryTable
            The entries in the order given.

        Raises
        ------
        InputError
            If two entries have the same id.
        """
        return cls.from_compositions(
            name_entries(entries),
            [entry.composition for entry in entries],
            np.array([entry.energy for entry in entries], dtype=np.float64),
        )

    @classmethod
    def from_frames(cls, frames: Frames, energies: NDArray[np.float64]) -> Self:
        """Build a table from structures and total energies.

        Parameters
        ----------
        frames : Frames
            One structure per entry; the id of the entry is that of the frame.
        energies : ndarray of float, shape (n_entries,)
            Total energies in eV.

        Returns
        -------
        EntryTable
            The entries in the order given.

        Raises
        ------
        InputError
            If two entries have the same id.
        """
        entry_ids = frames.frame_ids.tolist()
        _validate_unique_ids(entry_ids)
        numbers, kinds = np.unique(frames.atomic_numbers, return_inverse=True)
        named = [Element.from_Z(number).symbol for number in numbers.tolist()]
        order = np.argsort(np.argsort(named)) if named else np.zeros(0, np.int64)
        keys = frames.frame_of_site * len(named) + order[kinds]
        pairs, amounts = np.unique(keys, return_counts=True)
        entries, elements = np.divmod(pairs, max(len(named), 1))
        n_kinds = np.bincount(entries, minlength=len(frames))
        return cls(
            entry_ids=entry_ids,
            symbols=sorted(named),
            offsets=np.concatenate([[0], np.cumsum(n_kinds)]),
            elements=elements,
            amounts=amounts.astype(np.float64),
            energies=np.asarray(energies, dtype=np.float64),
        )

    @classmethod
    def from_compositions(
        cls,
        entry_ids: Sequence[str],
        compositions: Sequence[Composition],
        energies: NDArray[np.float64],
    ) -> Self:
        """Build a table from compositions and total energies.

        Parameters
        ----------
        entry_ids : sequence of str
            Unique id of each entry.
        compositions : sequence of Composition
            Composition of each entry; oxidation states are ignored.
        energies : ndarray of float, shape (n_entries,)
            Total energies in eV.

        Returns
        -------
        EntryTable
            The entries in the order given.

        Raises
        ------
        InputError
            If two entries have the same id.
        """
        _validate_unique_ids(entry_ids)
        counted = [composition.get_el_amt_dict() for composition in compositions]
        symbols = sorted({symbol for amounts in counted for symbol in amounts})
        listed = [sorted(amounts.items()) for amounts in counted]
        index = {symbol: number for number, symbol in enumerate(symbols)}
        flat = [(index[symbol], amount) for pairs in listed for symbol, amount in pairs]
        return cls(
            entry_ids=list(entry_ids),
            symbols=symbols,
            offsets=np.cumsum([0, *map(len, listed)]),
            elements=np.array([element for element, _ in flat], dtype=np.int64),
            amounts=np.array([amount for _, amount in flat], dtype=np.float64),
            energies=np.asarray(energies, dtype=np.float64),
        )


@lru_cache(maxsize=2**16)
def _reduce_formula(amounts: tuple[tuple[str, float], ...]) -> str:
    """Reduce a formula; cached, as every model of a study has the same materials."""
    formula: str = Composition(dict(amounts)).reduced_formula
    return formula


def name_entries(entries: Sequence[Entry]) -> list[str]:
    """List the ids of entries; the id of an entry without one is its position.

    Parameters
    ----------
    entries : sequence of pymatgen entries
        Entries, with or without ``entry_id``.

    Returns
    -------
    list of str
        One id per entry.

    Raises
    ------
    InputError
        If two entries have the same id.
    """
    ids = [getattr(entry, "entry_id", None) for entry in entries]
    names = [str(row) if name is None else str(name) for row, name in enumerate(ids)]
    _validate_unique_ids(names)
    return names


def _validate_unique_ids(entry_ids: Sequence[str]) -> None:
    """Validate that no two entries have the same id."""
    for name, count in Counter(entry_ids).items():
        if count > 1:
            raise InputError(f"expected unique entry ids, got {name} twice")
