from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.files.crystals.elastic_crystals import read_elastic_crystals
from nextrung.compute.intervals import estimate_interval
from nextrung.potentials.physics.runner import (
    compare_potentials,
    compare_with_labels,
    run_physics_tests,
)
from nextrung.potentials.registry import load_potential
from nextrung.schemas.frames import Frames
from nextrung.schemas.physics import (
    ForgettingSettings,
    Measure,
    PhysicsRecord,
    PhysicsSettings,
    PhysicsTest,
)
from nextrung.schemas.relaxation import (
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential

NAMES = ["NaCl rocksalt", "Si diamond", "MgO rocksalt", "Al fcc", "Cu fcc"]
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


def test_deviations_have_intervals_over_crystals(potential: Potential) -> None:
    """Not over the atoms of one crystal: four crystals have none, five have."""
    other = load_potential("chgnet-r2scan")
    crystals = [crystal.structure for crystal in read_elastic_crystals(NAMES)]

    found = [
        compare_potentials(other, potential, chosen, settings=ForgettingSettings())
        for chosen in (crystals, crystals[:4])
    ]

    for name in ("deformation_energy", "forces", "stress"):
        interval = getattr(found[0], f"{name}_interval")
        assert interval[0] < getattr(found[0], f"{name}_mae") < interval[1]
        assert getattr(found[1], f"{name}_interval") is None


def test_relaxed_structures_have_intervals_over_materials() -> None:
    """Six of eight relaxed cells are 3 % larger, one 9 %; one failed."""
    names = [f"m-{index}" for index in range(8)]
    labels = Frames.from_structures([SALT.structure] * 8, names)
    strains = [0.01] * 6 + [0.03]
    records = {
        name: RelaxationRecord(
            status=RelaxationStatus.CONVERGED,
            energy=-1.0,
            initial_energy=-1.0,
            structure=SALT.structure.apply_strain(strain, inplace=False),
            n_steps=3,
            fmax=0.01,
        )
        for name, strain in zip(names, strains, strict=False)
    }

    errors = compare_with_labels(labels, records)["all"]

    changes = [(1 + strain) ** 3 - 1 for strain in strains]
    expected = estimate_interval(changes, names[:7])
    assert errors.volume_change_interval == pytest.approx(expected)
    assert errors.volume_mae_interval == pytest.approx(expected)
    assert errors.rmsd_interval == pytest.approx((0, 0), abs=1e-9)
    few = dict(list(records.items())[:4])
    assert compare_with_labels(labels, few)["all"].rmsd_interval is None
