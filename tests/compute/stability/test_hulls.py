from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from pymatgen.core import Composition

from nextrung.compute.stability.entries import EntryTable
from nextrung.compute.stability.hull_decompositions import (
    Phases,
    decompose_compositions,
)
from nextrung.compute.stability.hulls import build_hulls

FORMULAS = ("Li", "F", "O", "LiF", "Li2O", "Li2O2", "LiFO", "F2O", "LiF")
LITHIUM, LIF = 0, 3


@pytest.fixture
def phases() -> Phases:
    """A (0), B (1), AB (2, -1 eV/atom), AB3 (3, +1), AC (4, no entry of C)."""
    return Phases(
        offsets=np.array([0, 1, 2, 4, 6, 8]),
        elements=np.array([0, 1, 0, 1, 0, 1, 0, 2]),
        fractions=np.array([1, 1, 0.5, 0.5, 0.25, 0.75, 0.5, 0.5]),
        formation=np.array([0, 0, -1, 1, np.nan]),
        ground_states=np.array([0, 1, -1]),
        members=np.array([0, 1, 2, 3, 4]),
        member_offsets=np.array([0, 1, 2, 4, 5]),
        subsystems=np.array([2, 3]),
        subsystem_offsets=np.array([0, 0, 0, 1, 2]),
    )


def test_a_composition_decomposes_into_the_others(phases: Phases) -> None:
    """AB without itself is A and B; AB3 is half AB and half B."""
    found = decompose_compositions(phases)

    np.testing.assert_array_equal(found.formation, [0, 0, 0, -0.5, np.nan])
    assert found.products[0].tolist() == [0, -1]
    assert set(found.products[2]) == {0, 1}
    assert dict(zip(found.products[3], found.shares[3], strict=True)) == {
        2: 0.5,
        1: 0.5,
    }


@pytest.mark.parametrize(("lost", "known"), [(None, True), (LITHIUM, False)])
def test_an_entry_without_an_energy_does_not_compete(
    lost: int | None,
    known: bool,  # noqa: FBT001
) -> None:
    """Li-F-O with energies of -1 eV/atom times the number of elements."""
    compositions = [Composition(formula) for formula in FORMULAS]
    energies = np.array([-len(c) * c.num_atoms for c in compositions])
    if lost is not None:
        energies[lost] = np.nan
    names = [str(row) for row in range(len(FORMULAS))]

    hulls = build_hulls(EntryTable.from_compositions(names, compositions, energies))

    assert np.isfinite(hulls.formation[LIF]) == known
    counted = Counter(len(elements) for elements in hulls.grouping.elements)
    assert counted == {1: 3 if known else 2, 2: 3, 3: 1}
