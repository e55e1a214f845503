from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition

from nextrung.compute.stability.entries import EntryTable
from nextrung.compute.stability.hulls import (
    Hulls,
    build_hulls,
    list_affected,
    update_hulls,
)

FORMULAS = ("Li", "F", "O", "LiF", "Li2O", "Li2O2", "LiFO", "F2O", "LiF")
LIF = 3
LITHIUM = 0


@pytest.fixture
def hulls() -> Hulls:
    """Li-F-O with energies of -1 eV/atom times the number of elements."""
    compositions = [Composition(formula) for formula in FORMULAS]
    energies = [-len(c) * c.num_atoms for c in compositions]
    return build_hulls(
        EntryTable.from_compositions(
            [str(row) for row in range(len(FORMULAS))], compositions, np.array(energies)
        )
    )


def name_systems(hulls: Hulls, systems: list[int]) -> set[str]:
    symbols = hulls.table.symbols
    return {
        "-".join(symbols[element] for element in hulls.grouping.elements[system])
        for system in systems
    }


@pytest.mark.parametrize("entry", range(len(FORMULAS)))
@pytest.mark.parametrize("change", [-0.3, 0.3])
def test_updated_hulls_are_those_built_anew(
    hulls: Hulls, entry: int, change: float
) -> None:
    energies = hulls.table.energies.copy()
    energies[entry] += change

    updated = update_hulls(hulls, energies)

    built = build_hulls(replace(hulls.table, energies=energies))
    np.testing.assert_array_equal(updated.formation, built.formation)
    np.testing.assert_array_equal(updated.lowest, built.lowest)
    np.testing.assert_array_equal(updated.second, built.second)
    for ours, theirs in zip(updated.mixtures, built.mixtures, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_entry_that_loses_its_energy_no_longer_competes(hulls: Hulls) -> None:
    energies = hulls.table.energies.copy()
    energies[LITHIUM] = np.nan

    updated = update_hulls(hulls, energies)

    assert np.isnan(updated.formation[LIF])


def test_a_changed_compound_touches_its_system_and_those_around_it(
    hulls: Hulls,
) -> None:
    formation = hulls.phases.formation.copy()
    formation[LIF] -= 0.1

    affected = list_affected(hulls, formation)

    assert name_systems(hulls, affected.tolist()) == {"F-Li", "F-Li-O"}


def test_no_change_touches_nothing(hulls: Hulls) -> None:
    assert len(list_affected(hulls, hulls.phases.formation)) == 0
