from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Composition

from nextrung.compute.stability import grouping
from nextrung.compute.stability.entries import EntryTable
from nextrung.compute.stability.grouping import (
    find_subsystems,
    group_entries,
    rank_polymorphs,
)


def make_table(formulas: list[str], energies_per_atom: list[float]) -> EntryTable:
    compositions = [Composition(formula) for formula in formulas]
    totals = [
        energy * composition.num_atoms
        for energy, composition in zip(energies_per_atom, compositions, strict=True)
    ]
    names = [str(row) for row in range(len(formulas))]
    return EntryTable.from_compositions(names, compositions, np.array(totals))


def test_multiples_of_a_formula_are_one_composition() -> None:
    table = make_table(["Fe2O3", "Fe4O6", "FeO", "Li0.1O0.3", "LiO3"], [0.0] * 5)

    groups = group_entries(table)

    assert groups.compositions.tolist() == [0, 0, 1, 2, 2]
    assert groups.representatives.tolist() == [0, 2, 3]
    assert groups.systems.tolist() == [0, 0, 1]
    assert groups.elements == [(0, 2), (1, 2)]


def test_entries_without_an_energy_have_no_composition() -> None:
    table = make_table(["Li", "Li", "Fe"], [np.nan, -1.0, np.inf])

    groups = group_entries(table)

    assert groups.compositions.tolist() == [-1, 0, -1]
    assert groups.representatives.tolist() == [1]


@pytest.mark.parametrize("most_subsets", [0, 99], ids=["scanned", "enumerated"])
def test_subsystems_hold_no_other_element(
    most_subsets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing subsets and scanning the known systems give the same."""
    monkeypatch.setattr(grouping, "MOST_ELEMENTS", most_subsets)
    systems = [(0,), (0, 1), (1, 2), (0, 1, 2), (3,)]

    subsystems = [sorted(inner) for inner in find_subsystems(systems)]

    assert subsystems == [[], [1], [2], [1, 2, 3], []]


def test_polymorphs_are_ranked_by_energy() -> None:
    table = make_table(["LiF", "Li", "Li2F2", "LiF"], [-2.0, -1.0, -3.0, -2.5])

    lowest, second = rank_polymorphs(table, group_entries(table).compositions)

    assert lowest.tolist() == [2, 1]
    assert second.tolist() == [3, -1]


def test_of_equal_polymorphs_the_first_is_the_lowest() -> None:
    table = make_table(["LiF", "LiF"], [-2.0, -2.0])

    lowest, second = rank_polymorphs(table, group_entries(table).compositions)

    assert (lowest.tolist(), second.tolist()) == ([0], [1])
