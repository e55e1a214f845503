from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.crystals.elastic_crystals import read_elastic_crystals
from nextrung.compute.physics.scores import (
    MEASURES,
    check_value,
    find_lattice_parameter,
    fit_drift,
    score_physics,
)
from nextrung.schemas.physics import Measure, PhysicsSettings, PhysicsTest

SETTINGS = PhysicsSettings()
(SILICON,) = read_elastic_crystals(["Si diamond"])


@pytest.mark.parametrize(
    ("measure", "passing", "failing"),
    [
        (Measure.LATTICE_PARAMETER, 5.43, 5.60),
        (Measure.BULK_MODULUS, 97.9, 70.0),
        (Measure.C44, 79.6, 40.0),
        (Measure.LOWEST_STIFFNESS, 1.0, -1.0),
        (Measure.LOWEST_FREQUENCY, -0.05, -0.5),
        (Measure.CRYSTAL_REPULSION, 0.1, -0.1),
        (Measure.DIMER_REPULSION, 0.1, -0.1),
        (Measure.ENERGY_DRIFT, -0.5, -2.0),
    ],
)
def test_a_value_passes_within_its_range(
    measure: Measure, passing: float, failing: float
) -> None:
    assert check_value(SILICON, measure, passing, settings=SETTINGS).passed
    assert not check_value(SILICON, measure, failing, settings=SETTINGS).passed


@pytest.mark.parametrize("value", ["no reference energy of Si", float("nan")])
def test_without_a_value_nothing_passes(value: str | float) -> None:
    record = check_value(SILICON, Measure.C11, value, settings=SETTINGS)

    assert record.value is None
    assert not record.passed
    assert str(value) in (record.error or "")


def test_every_measure_belongs_to_one_test() -> None:
    listed = [measure for measures in MEASURES.values() for measure in measures]

    assert sorted(listed) == sorted(Measure)
    assert set(MEASURES) == set(PhysicsTest)


def test_the_lattice_parameter_is_that_of_the_conventional_cell() -> None:
    """Of face-centred, body-centred and primitive cells."""
    iron, salt = read_elastic_crystals(["Fe bcc", "NaCl rocksalt"])
    simple = Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])

    assert find_lattice_parameter(SILICON.structure) == pytest.approx(5.431, abs=1e-3)
    assert find_lattice_parameter(iron.structure) == pytest.approx(2.8665)
    assert find_lattice_parameter(salt.structure) == pytest.approx(5.6402)
    assert find_lattice_parameter(simple) == pytest.approx(3.35)


def test_bulk_modulus_of_experiment_follows_from_elastic_constants() -> None:
    record = check_value(SILICON, Measure.BULK_MODULUS, 90.0, settings=SETTINGS)

    assert record.experiment == pytest.approx((165.8 + 2 * 63.9) / 3)


def test_deviations_are_averaged_over_values_alone() -> None:
    records = [
        check_value(SILICON, Measure.C11, value, settings=SETTINGS)
        for value in (1.1 * 165.8, 0.7 * 165.8, "failed")
    ]

    score = score_physics(records)

    assert (score.n_crystals, score.n_values) == (1, 3)
    assert (score.n_passed, score.n_without_value) == (2, 1)
    (summary,) = score.measures
    assert summary.relative_error == pytest.approx((0.1 + 0.3) / 2)


def test_an_oscillation_is_no_drift() -> None:
    times = np.linspace(0, 1, 1001)
    swinging = np.cos(40 * np.pi * times)

    assert fit_drift(swinging, times) == pytest.approx(0, abs=1e-3)
    assert fit_drift(swinging + 3 * times, times) == pytest.approx(3, abs=1e-3)
