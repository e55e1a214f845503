"""The materials of one chemical system on the hulls of labels and models."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nextrung.schemas.stability import StabilityRecord

#: Energies above the hull in eV/atom up to this are taken for on it.
ON_HULL = 1e-6
#: Systems that are named where an unknown one was asked for.
N_NEAREST = 3


@dataclass(frozen=True)
class HullData:
    """Materials of a chemical system with the energies of the labels or of a model.

    Parameters
    ----------
    title : str
        Whose energies they are, for readers.
    elements : tuple of str
        Symbols of the system.
    rows : tuple of StabilityRecord
        Materials that have an energy.
    formation : tuple of float
        Formation energy of each in eV/atom.
    above_hull : tuple of float
        Energy above the hull of each in eV/atom.
    """

    title: str
    elements: tuple[str, ...]
    rows: tuple[StabilityRecord, ...]
    formation: tuple[float, ...]
    above_hull: tuple[float, ...]

    @property
    def stable(self) -> list[int]:
        """List the places of the materials on the hull."""
        return [place for place, e in enumerate(self.above_hull) if e < ON_HULL]

    def fractions(self, place: int) -> list[float]:
        """List the share of each element of the system in a material.

        Parameters
        ----------
        place : int
            Place of the material.

        Returns
        -------
        list of float
            One share per element; they add up to 1.
        """
        composition = Composition(self.rows[place].formula)
        return [composition.get_atomic_fraction(symbol) for symbol in self.elements]

    def find_edges(self) -> list[tuple[int, int]]:
        """Find the pairs of materials that neighbour each other on the hull.

        Returns
        -------
        list of tuple of int
            Places of both, the lower first; none where an element has no entry.
        """
        entries = [self._make_entry(place) for place in self.stable]
        held = {e.composition.elements[0].symbol for e in entries if e.is_element}
        if held != set(self.elements) or len(held) == 1:
            return []
        diagram = PhaseDiagram(entries)
        places = {id(e): place for e, place in zip(entries, self.stable, strict=True)}
        corners = [places[id(entry)] for entry in diagram.qhull_entries]
        pairs = {
            tuple(sorted((corners[one], corners[other])))
            for facet in diagram.facets
            for one, other in combinations(facet.tolist(), 2)
        }
        return sorted((low, high) for low, high in pairs)

    def _make_entry(self, place: int) -> PDEntry:
        """Make an entry of pymatgen out of a formation energy."""
        composition = Composition(self.rows[place].formula)
        return PDEntry(composition, self.formation[place] * composition.num_atoms)


def read_hull_data(
    rows: Iterable[StabilityRecord],
    elements: tuple[str, ...],
    *,
    source: Literal["target", "predicted"],
    title: str,
) -> HullData:
    """Take the materials of a system with the energies of one source.

    Parameters
    ----------
    rows : iterable of StabilityRecord
        Materials of the system.
    elements : tuple of str
        Symbols of the system.
    source : {"target", "predicted"}
        Energies of the labels or of the model.
    title : str
        Whose energies they are, for readers.

    Returns
    -------
    HullData
        The materials that have an energy, those on the hull last: drawn on top.
    """
    found = [
        (row, formation, above_hull)
        for row in rows
        if (formation := getattr(row, f"{source}_formation_energy")) is not None
        and (above_hull := getattr(row, f"{source}_energy_above_hull")) is not None
    ]
    found.sort(key=lambda material: -material[2])
    return HullData(
        title=title,
        elements=elements,
        rows=tuple(row for row, _, _ in found),
        formation=tuple(formation for _, formation, _ in found),
        above_hull=tuple(above_hull for _, _, above_hull in found),
    )


def list_within(
    rows: Sequence[StabilityRecord], elements: tuple[str, ...]
) -> list[StabilityRecord]:
    """List the materials that hold no other element.

    Parameters
    ----------
    rows : sequence of StabilityRecord
        Materials of a study.
    elements : tuple of str
        Symbols of the system.

    Returns
    -------
    list of StabilityRecord
        Those of the system and of all systems within, in order.
    """
    return [
        row for row in rows if set(row.chemical_system.split("-")).issubset(elements)
    ]


def parse_system(name: str, rows: Sequence[StabilityRecord]) -> tuple[str, ...]:
    """Find the elements of a chemical system in a study.

    Parameters
    ----------
    name : str
        Symbols joined by hyphens, in any order.
    rows : sequence of StabilityRecord
        Materials of the study.

    Returns
    -------
    tuple of str
        The symbols in the same order.

    Raises
    ------
    InputError
        If no material of the study lies within the system for one of its elements.
    """
    elements = tuple(dict.fromkeys(symbol.strip() for symbol in name.split("-")))
    inside = {row.chemical_system for row in list_within(rows, elements)}
    held = {symbol for system in inside for symbol in system.split("-")}
    if held == set(elements):
        return elements
    known = sorted({row.chemical_system for row in rows})
    nearest = get_close_matches("-".join(sorted(elements)), known, N_NEAREST, cutoff=0)
    missing = ", ".join(symbol for symbol in elements if symbol not in held)
    raise InputError(
        f"chemical system {name}: expected elements of the study's materials, got "
        f"{missing or 'none'}; nearest: {', '.join(nearest) or 'none'}"
    )
