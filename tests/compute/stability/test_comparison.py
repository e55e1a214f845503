from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition
from tests.compute.stability.materials import MaterialEnergies, score

from nextrung.compute.stability.comparison import compare_decompositions
from nextrung.compute.stability.decomposition import Decomposition, decompose
from nextrung.compute.stability.entries import EntryTable
from nextrung.schemas.relaxation import RelaxationStatus
from nextrung.schemas.stability import (
    StabilityRecord,
    StabilitySettings,
)

COMPOSITIONS = [Composition(name) for name in ("Li", "F", "LiF", "Li3F")]
SETTINGS = StabilitySettings()


def decompose_energies(energies: list[float]) -> Decomposition:
    """Decompose Li, F, LiF and Li3F from energies in eV/atom."""
    n_atoms = np.array([composition.num_atoms for composition in COMPOSITIONS])
    names = [composition.reduced_formula for composition in COMPOSITIONS]
    table = EntryTable.from_compositions(
        names, COMPOSITIONS, np.array(energies) * n_atoms
    )
    return decompose(table)


def test_a_decomposition_does_not_differ_from_itself() -> None:
    decomposition = decompose_energies([0, 0, -1, -0.2])

    comparison = compare_decompositions(decomposition, decomposition, SETTINGS)

    assert not comparison.decomposition.any()
    assert comparison.same_products.all()
    np.testing.assert_array_equal(comparison.target_stable, comparison.predicted_stable)


def test_differences_are_predicted_minus_target() -> None:
    """LiF is 0.5 lower: Li3F, halfway to it, is 0.25 further above the hull."""
    comparison = compare_decompositions(
        decompose_energies([0, 0, -1, -0.2]),
        decompose_energies([0, 0, -1.5, -0.2]),
        SETTINGS,
    )

    np.testing.assert_allclose(comparison.decomposition, [0, 0, -0.5, 0.25])
    np.testing.assert_allclose(comparison.formation, [0, 0, -0.5, 0])


def test_references_of_the_labels_show_the_shift_of_the_elements() -> None:
    """Lithium alone is 1 eV higher in the model."""
    comparison = compare_decompositions(
        decompose_energies([0, 0, -1, -0.2]),
        decompose_energies([1, 0, -1, -0.2]),
        SETTINGS,
    )

    np.testing.assert_allclose(
        comparison.formation_target_references, [1, 0, 0, 0], atol=1e-15
    )
    np.testing.assert_allclose(comparison.formation, [0, 0, -0.5, -0.75])


def test_products_differ_once_a_phase_drops_out() -> None:
    """With Li3F above the line from Li to F, LiF decomposes into the elements."""
    comparison = compare_decompositions(
        decompose_energies([0, 0, -1, -0.2]),
        decompose_energies([0, 0, -1, 0.2]),
        SETTINGS,
    )

    assert comparison.same_products.tolist() == [True, True, False, True]


@pytest.mark.parametrize(("limit", "stable"), [(0.0, False), (0.3, True)])
def test_materials_below_the_limit_are_stable(limit: float, stable: bool) -> None:  # noqa: FBT001
    decomposition = decompose_energies([0, 0, -1, -0.2])

    comparison = compare_decompositions(
        decomposition, decomposition, StabilitySettings(stable_below=limit + 1e-9)
    )

    assert comparison.target_stable.tolist() == [True, True, True, stable]


def test_a_missing_energy_leaves_the_difference_nan() -> None:
    decomposition = decompose_energies([0, 0, -1, -0.2])
    energies = decomposition.table.energies.copy()
    energies[2] = np.nan
    table = replace(decomposition.table, energies=energies)

    comparison = compare_decompositions(decomposition, decompose(table), SETTINGS)

    assert np.isnan(comparison.decomposition).tolist() == [False, False, True, False]
    assert not comparison.predicted_stable[2]


def score_lif(target: float | None, predicted: float | None) -> StabilityRecord:
    """Score LiF, two formula units in the cell, from energies in eV/atom."""

    def total(energy: float | None) -> float | None:
        return None if energy is None else 4 * energy

    materials = [
        MaterialEnergies("lithium", {"Li": 1}, "train", 0, 1),
        MaterialEnergies("fluorine", {"F": 1}, "train", 0, 1),
        MaterialEnergies(
            material_id="salt",
            composition={"Li": 2, "F": 2},
            split="test",
            target_energy=total(target),
            predicted_energy=total(predicted),
            unrelaxed_energy=total(0.5),
            status=RelaxationStatus.MAX_STEPS,
        ),
    ]
    return score(materials, StabilitySettings())[1].to_records()[2]


def test_a_row_has_energies_of_labels_and_model_per_atom() -> None:
    row = score_lif(-1, -0.8)

    assert (row.material_id, row.formula, row.chemical_system) == (
        "salt",
        "LiF",
        "F-Li",
    )
    assert (row.split, row.status) == ("test", RelaxationStatus.MAX_STEPS)
    assert row.target_energy_per_atom == pytest.approx(-1)
    assert row.predicted_energy_per_atom == pytest.approx(-0.8)
    assert row.predicted_formation_energy == pytest.approx(-1.8)
    assert row.predicted_formation_energy_target_references == pytest.approx(-0.8)
    assert row.target_stable is row.predicted_stable is row.same_products is True
    assert row.error is None


def test_products_of_labels_and_model_are_listed() -> None:
    row = score_lif(-1, -0.8)

    for phases in (row.target_competing_phases, row.predicted_competing_phases):
        assert {phase.entry_id: phase.amount for phase in phases} == pytest.approx(
            {"lithium": 0.5, "fluorine": 0.5}
        )


def test_a_failed_relaxation_has_no_predicted_values() -> None:
    row = score_lif(-1, None)

    assert row.predicted_energy_per_atom is row.predicted_decomposition_energy is None
    assert row.predicted_stable is row.same_products is None
    assert row.predicted_competing_phases == ()
    assert row.target_stable is True
    assert row.predicted_decomposition_energy_unrelaxed == pytest.approx(-0.5)
    assert row.error == "model: the energy is not finite: nan"


def test_a_missing_label_has_no_target_values() -> None:
    row = score_lif(None, -0.8)

    assert row.target_energy_per_atom is row.target_stable is None
    assert row.predicted_decomposition_energy == pytest.approx(-1.8)
    assert row.error == "labels: the energy is not finite: nan"


def test_a_missing_reference_is_an_error_of_labels_and_model() -> None:
    materials = [
        MaterialEnergies("lithium", {"Li": 1}, "", 0, 0),
        MaterialEnergies("salt", {"Li": 1, "F": 1}, "", -1, -1),
    ]

    row = score(materials, StabilitySettings())[1].to_records()[1]

    missing = "no elemental entry to refer to for F"
    assert row.error == f"labels: {missing}; model: {missing}"
    assert row.target_energy_per_atom == pytest.approx(-0.5)
