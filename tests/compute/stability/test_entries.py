from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry

from nextrung.compute.stability.entries import EntryTable
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames


def test_entries_are_stored_one_after_another() -> None:
    table = EntryTable.from_entries(
        [
            ComputedEntry("O2", -10, entry_id="oxygen"),
            ComputedEntry("Fe2O3", -40, correction=-1, entry_id="hematite"),
        ]
    )

    assert table.symbols == ["Fe", "O"]
    assert table.offsets.tolist() == [0, 1, 3]
    assert table.elements.tolist() == [1, 0, 1]
    np.testing.assert_allclose(table.fractions, [1, 0.4, 0.6])
    np.testing.assert_allclose(table.energies_per_atom, [-5, -41 / 5])
    assert table.reduce_formulas() == ["O2", "Fe2O3"]


def test_entries_without_an_id_are_named_by_position() -> None:
    table = EntryTable.from_entries([PDEntry("Li", -1), PDEntry("Li", -2)])

    assert table.entry_ids == ["0", "1"]


def test_oxidation_states_do_not_make_other_elements() -> None:
    table = EntryTable.from_compositions(
        ["magnetite"],
        [Composition({"Fe2+": 1, "Fe3+": 2, "O2-": 4})],
        np.array([-50.0]),
    )

    assert table.amounts.tolist() == [3, 4]


def test_an_entry_without_atoms_has_no_energy_per_atom() -> None:
    table = EntryTable.from_compositions(["nothing"], [Composition()], np.zeros(1))

    assert np.isnan(table.energies_per_atom).all()


def test_formation_energies_are_taken_from_the_references() -> None:
    """H at -1 eV and O at -4 eV, no reference of F."""
    table = EntryTable.from_entries(
        [ComputedEntry("H2O", -9), ComputedEntry("H", -1), ComputedEntry("OF", -1)]
    )

    formed = table.formation_energies(np.array([np.nan, -1.0, -4.0]))

    assert table.symbols == ["F", "H", "O"]
    np.testing.assert_allclose(formed, [(-9 + 2 * 1 + 4) / 3, 0, np.nan])


def test_two_entries_of_one_id_are_rejected() -> None:
    entries = [ComputedEntry("Li", -1, entry_id="mp-1")] * 2

    with pytest.raises(InputError, match="unique entry ids, got mp-1 twice"):
        EntryTable.from_entries(entries)


def test_entries_of_structures_are_those_of_their_compositions() -> None:
    structures = [
        Structure(Lattice.cubic(4), symbols, np.linspace(0, 0.9, 3 * n).reshape(n, 3))
        for symbols in (["O", "Li", "O"], ["H"], ["Zn", "C", "O", "C"])
        for n in [len(symbols)]
    ]
    names = ["b", "a", "c"]
    energies = np.array([1.0, np.nan, 3.0])

    table = EntryTable.from_frames(Frames.from_structures(structures, names), energies)
    expected = EntryTable.from_compositions(
        names, [structure.composition for structure in structures], energies
    )

    for name in ("offsets", "elements", "amounts", "energies"):
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
    assert (table.entry_ids, table.symbols) == (names, expected.symbols)
    assert table.list_systems() == ["Li-O", "H", "C-O-Zn"]


def test_no_structures_have_no_entries() -> None:
    table = EntryTable.from_frames(Frames.from_structures([]), np.zeros(0))

    assert len(table) == len(table.symbols) == 0
