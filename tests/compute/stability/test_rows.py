from __future__ import annotations

import pytest

from nextrung.compute.stability import score_stability
from nextrung.schemas.relaxation import RelaxationStatus
from nextrung.schemas.stability import (
    MaterialEnergies,
    StabilityRecord,
    StabilitySettings,
)


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
    return score_stability(materials, StabilitySettings()).rows[2]


def test_a_row_holds_both_sides_per_atom() -> None:
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


def test_products_are_named_on_both_sides() -> None:
    row = score_lif(-1, -0.8)

    for phases in (row.target_competing_phases, row.predicted_competing_phases):
        assert {phase.entry_id: phase.amount for phase in phases} == pytest.approx(
            {"lithium": 0.5, "fluorine": 0.5}
        )


def test_a_failed_relaxation_leaves_the_model_s_side_empty() -> None:
    row = score_lif(-1, None)

    assert row.predicted_energy_per_atom is row.predicted_decomposition_energy is None
    assert row.predicted_stable is row.same_products is None
    assert row.predicted_competing_phases == ()
    assert row.target_stable is True
    assert row.predicted_decomposition_energy_unrelaxed == pytest.approx(-0.5)
    assert row.error == "model: the energy is not finite: nan"


def test_a_missing_label_leaves_the_labels_side_empty() -> None:
    row = score_lif(None, -0.8)

    assert row.target_energy_per_atom is row.target_stable is None
    assert row.predicted_decomposition_energy == pytest.approx(-1.8)
    assert row.error == "labels: the energy is not finite: nan"


def test_a_missing_reference_is_named_on_either_side() -> None:
    materials = [
        MaterialEnergies("lithium", {"Li": 1}, "", 0, 0),
        MaterialEnergies("salt", {"Li": 1, "F": 1}, "", -1, -1),
    ]

    row = score_stability(materials, StabilitySettings()).rows[1]

    missing = "no elemental entry to refer to for F"
    assert row.error == f"labels: {missing}; model: {missing}"
    assert row.target_energy_per_atom == pytest.approx(-0.5)
