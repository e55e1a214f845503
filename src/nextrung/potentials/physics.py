"""Tests of the potential energy surface of a potential."""

from __future__ import annotations

from importlib import import_module
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from ase import units
from ase.calculators.calculator import CalculationFailed
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

from nextrung.compute.physics.elasticity import fit_elastic_constants, strain_cells
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
    check_value,
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
    from nextrung.schemas.physics import (
        ElasticCrystal,
        PhysicsRecord,
        PhysicsSettings,
    )
    from nextrung.schemas.prediction import Prediction

#: Exceptions of a prediction or of a fit that fail one test of one crystal.
FAILURES = (ArithmeticError, CalculationFailed, RuntimeError, ValueError)


def require_physics(settings: PhysicsSettings) -> None:
    """Raise where a package is missing that a test needs.

    Parameters
    ----------
    settings : PhysicsSettings
        Tests to run.

    Raises
    ------
    InputError
        If phonopy is not installed and phonons are to be computed.
    """
    if PhysicsTest.PHONONS in settings.tests:
        import_module("nextrung.compute.physics.phonons")


def run_physics_tests(
    potential: Potential,
    crystals: Sequence[ElasticCrystal],
    settings: PhysicsSettings,
    on_crystal: Callable[[int], None] = lambda _done: None,
) -> list[PhysicsRecord]:
    """Relax crystals and run every test on them.

    Parameters
    ----------
    potential : Potential
        Potential to test.
    crystals : sequence of ElasticCrystal
        Crystals.
    settings : PhysicsSettings
        Tests, and the ranges in which they pass.
    on_crystal : callable
        Called with the number of finished crystals after each.

    Returns
    -------
    list of PhysicsRecord
        One per crystal and measure; a failure is a record with its reason.
    """
    require_physics(settings)
    relaxed = potential.relax(
        [crystal.structure for crystal in crystals], settings.relaxation
    )
    records: list[PhysicsRecord] = []
    for done, (crystal, relaxation) in enumerate(
        zip(crystals, relaxed, strict=True), 1
    ):
        for test in settings.tests:
            if _leaves_out(test, crystal, settings):
                continue
            values: Mapping[Measure, float | str]
            structure = relaxation.structure
            if relaxation.status is not RelaxationStatus.CONVERGED or structure is None:
                reason = relaxation.error or f"relaxation: {relaxation.status}"
                values = dict.fromkeys(MEASURES[test], reason)
            else:
                values = _run(test, potential, structure, settings)
            records += [
                check_value(crystal, measure, values[measure], settings)
                for measure in MEASURES[test]
            ]
        on_crystal(done)
    return records


def _leaves_out(
    test: PhysicsTest, crystal: ElasticCrystal, settings: PhysicsSettings
) -> bool:
    """Check whether a test is not run for a crystal."""
    return (
        test is PhysicsTest.MOLECULAR_DYNAMICS
        and crystal.crystal_id not in settings.molecular_dynamics.crystals
    )


def _run(
    test: PhysicsTest,
    potential: Potential,
    structure: Structure,
    settings: PhysicsSettings,
) -> Mapping[Measure, float | str]:
    """Run one test of one crystal; a failure is the reason in place of numbers."""
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
    return {
        Measure(name): getattr(constants, name) for name in type(constants)._fields
    }


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
    MaxwellBoltzmannDistribution(
        atoms,
        temperature_K=2 * chosen.temperature,  # half of it becomes potential energy
        rng=np.random.default_rng(chosen.seed),
    )
    Stationary(atoms)
    energies: list[float] = []
    dynamics = VelocityVerlet(atoms, timestep=chosen.timestep * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    dynamics.run(chosen.n_steps)
    picoseconds = chosen.timestep / 1000 * np.arange(len(energies))
    milli_ev = 1000 * np.array(energies) / len(atoms)
    return {Measure.ENERGY_DRIFT: fit_drift(milli_ev, picoseconds)}


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
    Callable[
        [Potential, Structure, PhysicsSettings], Mapping[Measure, float | str]
    ],
] = {
    PhysicsTest.EQUATION_OF_STATE: _fit_state,
    PhysicsTest.ELASTICITY: _fit_elasticity,
    PhysicsTest.PHONONS: _find_frequencies,
    PhysicsTest.REPULSION: _find_repulsion,
    PhysicsTest.MOLECULAR_DYNAMICS: _run_dynamics,
}
