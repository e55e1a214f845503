from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from nextrung.compute.stability.entries import EntryTable
from nextrung.schemas.base import InputError


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
