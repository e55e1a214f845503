from __future__ import annotations

import numpy as np
from pymatgen.core import Composition

from nextrung.compute.formation import find_references, formation_energies

COMPOSITIONS = [Composition(name) for name in ("Li2", "Li", "Li2O", "LiF", "O2", "O4")]
ENERGIES = np.array([-1.9, -2.0, -4.5, -5.0, -5.1, np.nan])


def test_the_lowest_of_an_element_is_its_reference() -> None:
    """O4 has no energy; fluorine is in a compound alone."""
    assert find_references(COMPOSITIONS, ENERGIES) == {"Li": -2.0, "O": -5.1}


def test_formation_energies_are_from_the_elements() -> None:
    """Li2O: -4.5 - (2 · -2.0 + -5.1) / 3 eV/atom."""
    formed = formation_energies(COMPOSITIONS, ENERGIES, {"Li": -2.0, "O": -5.1})

    np.testing.assert_allclose(formed[:3], [0.1, 0.0, -4.5 + 9.1 / 3])


def test_an_element_without_a_reference_has_no_formation_energy() -> None:
    """And never 0 eV."""
    formed = formation_energies(COMPOSITIONS, ENERGIES, {"Li": -2.0, "O": -5.1})

    assert np.isnan(formed).tolist() == [False, False, False, True, False, True]
