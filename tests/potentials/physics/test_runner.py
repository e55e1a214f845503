from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.files.crystals.elastic_crystals import read_elastic_crystals
from nextrung.potentials.physics.runner import compare_potentials, run_physics_tests
from nextrung.potentials.registry import load_potential
from nextrung.schemas.physics import (
    ForgettingSettings,
    Measure,
    PhysicsRecord,
    PhysicsSettings,
    PhysicsTest,
)
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential

FAST = tuple(test for test in PhysicsTest if test is not PhysicsTest.PHONONS)
(SALT,) = read_elastic_crystals(["NaCl rocksalt"])


def make_settings(**changes: object) -> PhysicsSettings:
    return PhysicsSettings.model_validate(
        {
            "tests": FAST,
            "relaxation": RelaxationSettings(fmax=0.01, fix_symmetry=True),
            "repulsion": {"n_distances": 3},
            "molecular_dynamics": {"n_steps": 20},
            **changes,
        }
    )


def select(records: list[PhysicsRecord]) -> dict[Measure, PhysicsRecord]:
    return {record.measure: record for record in records}


@pytest.fixture(scope="module")
def potential() -> Potential:
    return load_potential("chgnet-0.3.0", "cpu")


def test_every_test_of_a_crystal_has_its_numbers(potential: Potential) -> None:
    done: list[int] = []

    records = run_physics_tests(
        potential, [SALT], make_settings(), on_crystal=done.append
    )

    found = select(records)
    assert set(found) == set(Measure) - {Measure.LOWEST_FREQUENCY}
    assert all(record.value is not None for record in records)
    assert found[Measure.LATTICE_PARAMETER].passed
    assert found[Measure.BULK_MODULUS].passed
    assert found[Measure.LOWEST_STIFFNESS].passed
    assert found[Measure.ENERGY_DRIFT].passed
    assert done == [1]


def test_phonons_of_rock_salt_are_not_imaginary(potential: Potential) -> None:
    pytest.importorskip("phonopy")
    settings = make_settings(tests=["phonons"], phonons={"min_length": 7.0})

    (record,) = run_physics_tests(potential, [SALT], settings)

    assert record.value == pytest.approx(0, abs=0.05)
    assert record.passed


def test_an_element_without_reference_is_a_row_for_every_measure(
    potential: Potential,
) -> None:
    narrow = potential.copy()
    narrow.elements = frozenset({"Na"})

    records = run_physics_tests(narrow, [SALT], make_settings())

    assert len(records) == len(Measure) - 1
    assert not any(record.passed for record in records)
    assert all("Cl" in (record.error or "") for record in records)


def test_a_crystal_that_does_not_relax_has_no_numbers(potential: Potential) -> None:
    stretched = SALT.model_copy(
        update={"structure": SALT.structure.apply_strain(0.1, inplace=False)}
    )
    settings = make_settings(
        tests=["equation_of_state"], relaxation=RelaxationSettings(max_steps=1)
    )

    records = run_physics_tests(potential, [stretched], settings)

    assert {record.error for record in records} == {"relaxation: max_steps"}


def test_a_failing_test_leaves_the_others_their_numbers(potential: Potential) -> None:
    """Atoms that overlap cannot be predicted; crystals still can."""
    settings = make_settings(
        tests=["repulsion"], repulsion={"n_distances": 3, "closest_in_dimer": 0.1}
    )

    found = select(run_physics_tests(potential, [SALT], settings))

    assert found[Measure.CRYSTAL_REPULSION].value is not None
    assert found[Measure.DIMER_REPULSION].value is None
    assert found[Measure.DIMER_REPULSION].error


def test_dynamics_runs_for_the_chosen_crystals(potential: Potential) -> None:
    settings = make_settings(
        tests=["molecular_dynamics"], molecular_dynamics={"crystals": ["Si diamond"]}
    )

    assert run_physics_tests(potential, [SALT], settings) == []


def test_a_potential_has_forgotten_nothing_of_itself(potential: Potential) -> None:
    crystals: list[Structure] = [SALT.structure]

    errors = compare_potentials(
        potential, potential.copy(), crystals, settings=ForgettingSettings()
    )

    assert errors.n_structures == 3
    assert errors.deformation_energy_mae == errors.forces_mae == errors.stress_mae == 0
