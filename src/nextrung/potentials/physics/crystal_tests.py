"""Tests of one relaxed crystal."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from ase import units
from ase.calculators.calculator import CalculationFailed
from ase.md.verlet import VelocityVerlet

from nextrung.compute.physics.equation_of_state import (
    fit_equation_of_state,
    strain_volumes,
)
from nextrung.compute.physics.repulsion import (
    approach_dimer,
    compress_crystal,
    find_smallest_rise,
)
from nextrung.compute.physics.scores import (
    MEASURES,
    find_lattice_parameter,
    fit_drift,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.physics import Measure, PhysicsTest
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.physics import PhysicsSettings
    from nextrung.schemas.prediction import Prediction

#: Exceptions of a prediction or of a fit that fail one test of one crystal.
FAILURES = (ArithmeticError, CalculationFailed, RuntimeError, ValueError)


def run_test(
    test: PhysicsTest,
    potential: Potential,
    structure: Structure,
    *,
    settings: PhysicsSettings,
) -> Mapping[Measure, float | str]:
    """Run one test of one crystal.

    Parameters
    ----------
    test : PhysicsTest
        Test.
    potential : Potential
        Potential to test.
    structure : Structure
        Crystal relaxed by the potential.
    settings : PhysicsSettings
        Settings of the tests.

    Returns
    -------
    mapping of Measure to (float or str)
        Number of each measure of the test, or the reason why there is none.
    """
    try:
        return _TESTS[test](potential, structure, settings)
    except FAILURES as error:
        reason = str(error) or type(error).__name__
        return dict.fromkeys(MEASURES[test], reason)


def _fit_state(
    potential: Potential, structure: Structure, settings: PhysicsSettings
) -> Mapping[Measure, float]:
    """Measure lattice parameter and bulk modulus."""
    strained = strain_volumes(structure, settings.equation_of_state)
    fit = fit_equation_of_state(
        [each.volume for each in strained], _predict_energies(potential, strained)
    )
    lattice = find_lattice_parameter(structure)
    return {
        Measure.LATTICE_PARAMETER: lattice * (fit.volume / structure.volume) ** (1 / 3),
        Measure.BULK_MODULUS: fit.bulk_modulus,
    }


def _fit_elasticity(
    potential: Potential, structure: Structure, settings: PhysicsSettings
) -> Mapping[Measure, float]:
    """Measure elastic constants, atoms relaxed in every strained cell."""
    from nextrung.compute.physics.elasticity import (  # noqa: PLC0415 - sympy
        fit_elastic_constants,
        strain_cells,
    )

    strained = strain_cells(structure, settings.elasticity)
    moved = potential.relax(
        [each.structure for each in strained],
        RelaxationSettings(
            engine=settings.relaxation.engine,
            fmax=settings.relaxation.fmax,
            max_steps=settings.relaxation.max_steps,
            cell=CellDegrees.FIXED,
        ),
    )
    for record in moved:
        if record.structure is None or record.status is not RelaxationStatus.CONVERGED:
            raise InputError(
                f"strained cell: {record.error or f'relaxation: {record.status}'}"
            )
    found = _predict(potential, [structure, *(record.structure for record in moved)])
    unstrained, *stresses = [np.asarray(each.stress) for each in found]
    constants = fit_elastic_constants(
        [each.strain for each in strained], stresses, unstrained
    )
    return {Measure(name): getattr(constants, name) for name in type(constants)._fields}


def _find_frequencies(
    potential: Potential, structure: Structure, settings: PhysicsSettings
) -> Mapping[Measure, float]:
    """Measure the lowest phonon frequency."""
    from nextrung.compute.physics.phonons import (  # noqa: PLC0415 - an extra
        PhononCalculation,
    )

    phonons = PhononCalculation(structure, settings.phonons)
    predicted = _predict(potential, phonons.supercells)
    forces = [np.asarray(each.forces) for each in predicted]
    return {Measure.LOWEST_FREQUENCY: phonons.find_lowest_frequency(forces)}


def _find_repulsion(
    potential: Potential, structure: Structure, settings: PhysicsSettings
) -> Mapping[Measure, float | str]:
    """Measure how energies rise where atoms approach each other."""
    approaches = {
        Measure.CRYSTAL_REPULSION: compress_crystal(structure, settings.repulsion),
        Measure.DIMER_REPULSION: approach_dimer(structure, settings.repulsion),
    }
    rises: dict[Measure, float | str] = {}
    for measure, structures in approaches.items():
        try:
            energies = _predict_energies(potential, structures)
            rises[measure] = find_smallest_rise(energies, len(structures[0]))
        except FAILURES as error:
            rises[measure] = str(error)
    return rises


def _run_dynamics(
    potential: Potential, structure: Structure, settings: PhysicsSettings
) -> Mapping[Measure, float]:
    """Measure the drift of the total energy in meV/atom/ps."""
    chosen = settings.molecular_dynamics
    repeats = ceil((chosen.min_atoms / len(structure)) ** (1 / 3))
    atoms = structure.to_ase_atoms().repeat(repeats)
    atoms.calc = potential.calculator()
    thermal = 2 * chosen.temperature * units.kB  # half of it becomes potential energy
    masses = atoms.get_masses()[:, np.newaxis]
    random = np.random.default_rng(chosen.seed).normal(size=(len(atoms), 3))
    velocities = np.sqrt(thermal / masses) * random
    drift_velocity = (masses * velocities).sum(axis=0) / masses.sum()
    atoms.set_velocities(velocities - drift_velocity)
    energies: list[float] = []
    dynamics = VelocityVerlet(atoms, timestep=chosen.timestep * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    dynamics.run(chosen.n_steps)
    times = np.arange(len(energies), dtype=np.float64)  # in steps
    drift = fit_drift(np.array(energies, dtype=np.float64), times)  # eV per step
    per_ps = 1000 / chosen.timestep
    return {Measure.ENERGY_DRIFT: 1000 * drift * per_ps / len(atoms)}


def _predict(
    potential: Potential, structures: Sequence[Structure | None]
) -> list[Prediction]:
    """Predict structures; raise the reason of the first failure."""
    predicted = potential.predict(structures, "efs")
    for prediction in predicted:
        if prediction.error is not None:
            raise InputError(prediction.error)
    return predicted


def _predict_energies(
    potential: Potential, structures: Sequence[Structure]
) -> list[float]:
    """Predict total energies in eV."""
    predicted = _predict(potential, structures)
    return [each.energy for each in predicted if each.energy is not None]


_TESTS: Mapping[
    PhysicsTest,
    Callable[[Potential, Structure, PhysicsSettings], Mapping[Measure, float | str]],
] = {
    PhysicsTest.EQUATION_OF_STATE: _fit_state,
    PhysicsTest.ELASTICITY: _fit_elasticity,
    PhysicsTest.PHONONS: _find_frequencies,
    PhysicsTest.REPULSION: _find_repulsion,
    PhysicsTest.MOLECULAR_DYNAMICS: _run_dynamics,
}
