"""Measured numbers, the ranges in which they pass, and their summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.physics import (
    Measure,
    MeasureSummary,
    PhysicsRecord,
    PhysicsScore,
    PhysicsTest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.physics import ElasticCrystal, PhysicsSettings

#: What each test measures.
MEASURES: Mapping[PhysicsTest, tuple[Measure, ...]] = {
    PhysicsTest.EQUATION_OF_STATE: (Measure.LATTICE_PARAMETER, Measure.BULK_MODULUS),
    PhysicsTest.ELASTICITY: (
        Measure.C11,
        Measure.C12,
        Measure.C44,
        Measure.LOWEST_STIFFNESS,
    ),
    PhysicsTest.PHONONS: (Measure.LOWEST_FREQUENCY,),
    PhysicsTest.REPULSION: (Measure.CRYSTAL_REPULSION, Measure.DIMER_REPULSION),
    PhysicsTest.MOLECULAR_DYNAMICS: (Measure.ENERGY_DRIFT,),
}

#: Primitive cells in the conventional cell of a cubic lattice, by the angle between
#: primitive vectors in degrees: primitive, face-centred, body-centred.
_CELLS: Mapping[int, int] = {90: 1, 60: 4, 109: 2}


def find_lattice_parameter(structure: Structure) -> float:
    """Find the lattice parameter of the conventional cell of a cubic crystal in Å.

    Parameters
    ----------
    structure : Structure
        Primitive cell of a primitive, face-centred or body-centred cubic lattice.
    """
    n_cells = _CELLS[round(structure.lattice.alpha)]
    return float((n_cells * structure.volume) ** (1 / 3))


def fit_drift(energies: NDArray[np.float64], times: NDArray[np.float64]) -> float:
    """Fit the drift of an energy over time.

    Parameters
    ----------
    energies : ndarray of float, shape (n_times,)
        Energies.
    times : ndarray of float, shape (n_times,)
        Times.

    Returns
    -------
    float
        Slope of the linear fit.
    """
    slope, _ = np.polyfit(times, energies, 1)
    return float(slope)


def check_value(
    crystal: ElasticCrystal,
    measure: Measure,
    value: float | str,
    *,
    settings: PhysicsSettings,
) -> PhysicsRecord:
    """Check whether a measured number is in the range in which it passes.

    Parameters
    ----------
    crystal : ElasticCrystal
        The crystal.
    measure : Measure
        What was measured.
    value : float or str
        The number, or why there is none.
    settings : PhysicsSettings
        Ranges.
    """
    experiment = _find_experiment(crystal).get(measure)
    lower, upper = _find_range(measure, experiment, settings)
    number = value if isinstance(value, float) and np.isfinite(value) else None
    missing = value if isinstance(value, str) else f"expected a number, got {value}"
    return PhysicsRecord(
        crystal_id=crystal.crystal_id,
        test=next(test for test in MEASURES if measure in MEASURES[test]),
        measure=measure,
        value=number,
        experiment=experiment,
        lower=lower,
        upper=upper,
        passed=number is not None
        and (lower is None or number >= lower)
        and (upper is None or number <= upper),
        error=missing if number is None else None,
    )


def score_physics(records: Sequence[PhysicsRecord]) -> PhysicsScore:
    """Count what passed, in total and by measure.

    Parameters
    ----------
    records : sequence of PhysicsRecord
        One per crystal and measure.
    """
    measures = [m for m in Measure if any(record.measure is m for record in records)]
    return PhysicsScore(
        n_crystals=len({record.crystal_id for record in records}),
        n_values=len(records),
        n_passed=sum(record.passed for record in records),
        n_without_value=sum(record.value is None for record in records),
        measures=[
            _summarise(measure, [r for r in records if r.measure is measure])
            for measure in measures
        ],
        rows=list(records),
    )


def _summarise(measure: Measure, records: Sequence[PhysicsRecord]) -> MeasureSummary:
    """Summarise one measure over the crystals."""
    deviations = [
        abs(record.value / record.experiment - 1)
        for record in records
        if record.value is not None and record.experiment
    ]
    return MeasureSummary(
        measure=measure,
        n_crystals=len(records),
        n_passed=sum(record.passed for record in records),
        n_without_value=sum(record.value is None for record in records),
        relative_error=float(np.mean(deviations)) if deviations else None,
    )


def _find_experiment(crystal: ElasticCrystal) -> dict[Measure, float]:
    """Find the measured value of each measure that has one."""
    return {
        Measure.LATTICE_PARAMETER: find_lattice_parameter(crystal.structure),
        Measure.BULK_MODULUS: (crystal.c11 + 2 * crystal.c12) / 3,
        Measure.C11: crystal.c11,
        Measure.C12: crystal.c12,
        Measure.C44: crystal.c44,
    }


def _find_range(
    measure: Measure, experiment: float | None, settings: PhysicsSettings
) -> tuple[float | None, float | None]:
    """Find the smallest and the largest value that pass."""
    if experiment is not None:
        state = settings.equation_of_state
        tolerance = {
            Measure.LATTICE_PARAMETER: state.lattice_tolerance,
            Measure.BULK_MODULUS: state.bulk_modulus_tolerance,
        }.get(measure, settings.elasticity.tolerance)
        return experiment * (1 - tolerance), experiment * (1 + tolerance)
    if measure is Measure.LOWEST_FREQUENCY:
        return settings.phonons.lowest_frequency, None
    if measure is Measure.ENERGY_DRIFT:
        largest = settings.molecular_dynamics.largest_drift
        return -largest, largest
    return 0.0, None
