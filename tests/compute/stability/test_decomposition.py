from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Composition

from nextrung.compute.stability.decomposition import decompose
from nextrung.compute.stability.entries import EntryTable
from nextrung.schemas.stability import Competitors

LI, F, LIF, LI3F, OTHER_LIF = range(5)


def make_table(energies: list[float]) -> EntryTable:
    """Li, F, LiF, Li3F and a second LiF, from energies in eV/atom."""
    compositions = [Composition(name) for name in ("Li", "F", "LiF", "Li3F", "Li2F2")]
    totals = [
        energy * composition.num_atoms
        for energy, composition in zip(energies, compositions, strict=True)
    ]
    return EntryTable.from_compositions(
        ["Li", "F", "LiF", "Li3F", "other LiF"], compositions, np.array(totals)
    )


def test_energies_come_from_the_elements_the_mixture_and_the_hull() -> None:
    """Li3F is at 3/4 Li: halfway between Li and LiF, the hull is there at -0.5."""
    decomposition = decompose(make_table([0, 0, -1, -0.2, -0.9]))

    np.testing.assert_allclose(decomposition.formation_energies, [0, 0, -1, -0.2, -0.9])
    np.testing.assert_allclose(
        decomposition.energies, [0, 0, -1 + 0.2 * 2 / 3, 0.3, -0.9 + 0.2 * 2 / 3]
    )
    np.testing.assert_allclose(
        decomposition.energies_above_hull, [0, 0, 0, 0.3, 0.1], atol=1e-15
    )
    np.testing.assert_array_equal(decomposition.references, [0, 0])
    assert decomposition.errors == {}


def test_products_are_the_lowest_entries_largest_share_first() -> None:
    decomposition = decompose(make_table([0, 0, -1, -0.2, -0.9]))

    assert decomposition.products.tolist() == [
        [-1, -1],
        [-1, -1],
        [LI3F, F],
        [LI, LIF],
        [LI3F, F],
    ]
    np.testing.assert_allclose(decomposition.shares[LIF], [2 / 3, 1 / 3])


def test_the_lowest_polymorph_competes_with_the_second_one() -> None:
    decomposition = decompose(make_table([0, 0, -1, -0.2, -0.9]), Competitors.SELF)

    assert decomposition.products[LIF].tolist() == [OTHER_LIF, -1]
    assert decomposition.products[OTHER_LIF].tolist() == [LIF, -1]
    np.testing.assert_allclose(decomposition.energies[[LIF, OTHER_LIF]], [-0.1, 0.1])


def test_a_polymorph_above_the_mixture_is_no_competitor() -> None:
    decomposition = decompose(make_table([0, 0, -1, -0.8, 0.5]), Competitors.SELF)

    assert decomposition.products[LIF].tolist() == [LI3F, F]


@pytest.mark.parametrize("competitors", Competitors)
def test_entries_without_an_energy_or_a_reference_are_nan_with_a_reason(
    competitors: Competitors,
) -> None:
    decomposition = decompose(make_table([np.nan, 0, -1, -0.2, np.inf]), competitors)

    missing = "no elemental entry to refer to for Li"
    assert decomposition.errors == {
        LI: "the energy is not finite: nan",
        LIF: missing,
        LI3F: missing,
        OTHER_LIF: "the energy is not finite: inf",
    }
    assert np.isnan(decomposition.energies).tolist() == [True, False, True, True, True]
    assert (decomposition.products == -1).all()


def test_an_empty_table_has_nothing_to_decompose() -> None:
    empty = EntryTable.from_compositions([], [], np.zeros(0))

    assert len(decompose(empty).energies) == 0
