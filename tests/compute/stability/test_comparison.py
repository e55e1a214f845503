from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition

from nextrung.compute.stability.comparison import Hull, compare_hulls
from nextrung.compute.stability.decomposition import decompose
from nextrung.compute.stability.entries import EntryTable
from nextrung.schemas.stability import StabilitySettings

COMPOSITIONS = [Composition(name) for name in ("Li", "F", "LiF", "Li3F")]
SETTINGS = StabilitySettings()


def make_hull(energies: list[float]) -> Hull:
    """Hull of Li, F, LiF and Li3F from energies in eV/atom."""
    n_atoms = np.array([composition.num_atoms for composition in COMPOSITIONS])
    names = [composition.reduced_formula for composition in COMPOSITIONS]
    table = EntryTable.from_compositions(
        names, COMPOSITIONS, np.array(energies) * n_atoms
    )
    return Hull(table=table, decomposition=decompose(table))


def test_a_hull_does_not_differ_from_itself() -> None:
    hull = make_hull([0, 0, -1, -0.2])

    comparison = compare_hulls(hull, hull, SETTINGS)

    assert not comparison.decomposition.any()
    assert comparison.same_products.all()
    np.testing.assert_array_equal(comparison.target_stable, comparison.predicted_stable)


def test_differences_are_predicted_minus_target() -> None:
    """LiF is 0.5 lower: Li3F, halfway to it, is 0.25 further above the hull."""
    comparison = compare_hulls(
        make_hull([0, 0, -1, -0.2]), make_hull([0, 0, -1.5, -0.2]), SETTINGS
    )

    np.testing.assert_allclose(comparison.decomposition, [0, 0, -0.5, 0.25])
    np.testing.assert_allclose(comparison.formation, [0, 0, -0.5, 0])


def test_references_of_the_labels_show_the_shift_of_the_elements() -> None:
    """Lithium alone is 1 eV higher in the model."""
    comparison = compare_hulls(
        make_hull([0, 0, -1, -0.2]), make_hull([1, 0, -1, -0.2]), SETTINGS
    )

    np.testing.assert_allclose(
        comparison.formation_target_references, [1, 0, 0, 0], atol=1e-15
    )
    np.testing.assert_allclose(comparison.formation, [0, 0, -0.5, -0.75])


def test_products_differ_once_a_phase_drops_out() -> None:
    """With Li3F above the line from Li to F, LiF decomposes into the elements."""
    comparison = compare_hulls(
        make_hull([0, 0, -1, -0.2]), make_hull([0, 0, -1, 0.2]), SETTINGS
    )

    assert comparison.same_products.tolist() == [True, True, False, True]


@pytest.mark.parametrize(("limit", "stable"), [(0.0, False), (0.3, True)])
def test_stable_is_what_lies_below_the_limit(limit: float, stable: bool) -> None:  # noqa: FBT001
    hull = make_hull([0, 0, -1, -0.2])

    comparison = compare_hulls(hull, hull, StabilitySettings(stable_below=limit + 1e-9))

    assert comparison.target_stable.tolist() == [True, True, True, stable]


def test_a_missing_energy_makes_no_difference_known() -> None:
    hull = make_hull([0, 0, -1, -0.2])
    energies = hull.table.energies.copy()
    energies[2] = np.nan
    table = replace(hull.table, energies=energies)

    comparison = compare_hulls(
        hull, Hull(table=table, decomposition=decompose(table)), SETTINGS
    )

    assert np.isnan(comparison.decomposition).tolist() == [False, False, True, False]
    assert not comparison.predicted_stable[2]
