"""Properties of simple crystals predicted by a potential, beside experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.benchmark import build_molecule, record_value
from nextrung.compute.formation import formation_energies
from nextrung.potentials.physics.crystal_tests import run_test
from nextrung.schemas.benchmark import BenchmarkProperty
from nextrung.schemas.physics import Measure, PhysicsSettings, PhysicsTest
from nextrung.schemas.relaxation import CellDegrees, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.benchmark import (
        BenchmarkRecord,
        BenchmarkSettings,
        BenchmarkTable,
        ReferencePhase,
    )
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Properties that are fitted to an equation of state, and what is measured.
_FITTED: Mapping[BenchmarkProperty, Measure] = {
    BenchmarkProperty.LATTICE_PARAMETER: Measure.LATTICE_PARAMETER,
    BenchmarkProperty.BULK_MODULUS: Measure.BULK_MODULUS,
}


def run_benchmark(
    potential: Potential,
    table: BenchmarkTable,
    settings: BenchmarkSettings,
    *,
    on_structure: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[BenchmarkRecord]:
    """Relax crystals and compare their properties with experiment.

    Parameters
    ----------
    potential : Potential
        Potential to test.
    table : BenchmarkTable
        Facts, crystals and reference phases.
    settings : BenchmarkSettings
        Relaxation and equation of state.
    on_structure : callable
        Called with the number of finished structures, and of all.

    Returns
    -------
    list of BenchmarkRecord
        One per fact; a failure is a record with its reason.
    """
    molecules = {
        phase.symbol: build_molecule(
            phase.symbol, phase.bond_length, settings.molecule_box
        )
        for phase in table.phases
        if phase.bond_length is not None
    }
    done, total = 0, len(table.crystals) + len(molecules)

    def count(_index: int, _record: RelaxationRecord) -> None:
        nonlocal done
        done += 1
        on_structure(done, total)

    def relax(
        structures: Mapping[str, Structure], how: RelaxationSettings
    ) -> dict[str, RelaxationRecord]:
        records = potential.relax([*structures.values()], how, on_record=count)
        return dict(zip(structures, records, strict=True))

    of_molecules = settings.relaxation.model_copy(
        update={"cell": CellDegrees.FIXED, "fix_symmetry": False}
    )
    crystals = relax(table.crystals, settings.relaxation)
    references = _find_references(
        table.phases, crystals, relax(molecules, of_molecules)
    )
    fitted = _fit_states(potential, table, crystals, settings=settings)
    return [
        record_value(
            fact,
            fitted[fact.crystal_id][_FITTED[fact.property]]
            if fact.property in _FITTED
            else _find_value(fact.property, crystals[fact.crystal_id], references),
        )
        for fact in table.facts
    ]


def _find_failure(record: RelaxationRecord) -> str | None:
    """Describe why a relaxation has no relaxed structure; None where it has."""
    if record.status is RelaxationStatus.CONVERGED and record.structure is not None:
        return None
    return record.error or f"relaxation: {record.status}"


def _find_energy(record: RelaxationRecord) -> float | str:
    """Find the energy of a relaxed structure in eV/atom, or why there is none."""
    if (failure := _find_failure(record)) is not None:
        return failure
    if record.energy is None or record.structure is None:
        return record.error or "no energy"
    return record.energy / len(record.structure)


def _find_references(
    phases: Sequence[ReferencePhase],
    crystals: Mapping[str, RelaxationRecord],
    molecules: Mapping[str, RelaxationRecord],
) -> dict[str, float | str]:
    """Find the energy of each element in its standard state, or why there is none."""
    references: dict[str, float | str] = {}
    for phase in phases:
        energy = _find_energy(
            molecules[phase.symbol]
            if phase.crystal_id is None
            else crystals[phase.crystal_id]
        )
        references[phase.symbol] = (
            f"reference phase of {phase.symbol}: {energy}"
            if isinstance(energy, str)
            else energy - phase.enthalpy
        )
    return references


def _fit_states(
    potential: Potential,
    table: BenchmarkTable,
    crystals: Mapping[str, RelaxationRecord],
    *,
    settings: BenchmarkSettings,
) -> dict[str, Mapping[Measure, float | str]]:
    """Fit the equation of state of each crystal that a fact needs one of."""
    physics = PhysicsSettings(equation_of_state=settings.equation_of_state)
    fitted: dict[str, Mapping[Measure, float | str]] = {}
    for fact in table.facts:
        if fact.property not in _FITTED or fact.crystal_id in fitted:
            continue
        record = crystals[fact.crystal_id]
        failure = _find_failure(record)
        if failure is not None or record.structure is None:
            fitted[fact.crystal_id] = dict.fromkeys(_FITTED.values(), failure or "")
            continue
        fitted[fact.crystal_id] = run_test(
            PhysicsTest.EQUATION_OF_STATE, potential, record.structure, settings=physics
        )
    return fitted


def _find_value(
    kind: BenchmarkProperty,
    record: RelaxationRecord,
    references: Mapping[str, float | str],
) -> float | str:
    """Find the density or the formation enthalpy of a crystal, or why it has none."""
    failure = _find_failure(record)
    if failure is not None or record.structure is None:
        return failure or ""
    if kind is BenchmarkProperty.DENSITY:
        return float(record.structure.density)
    composition = record.structure.composition
    needed = {e.symbol: references[e.symbol] for e in composition.elements}
    energy = _find_energy(record)
    failed = [each for each in (energy, *needed.values()) if isinstance(each, str)]
    if isinstance(energy, str) or failed:
        return "; ".join(failed)
    known = {symbol: each for symbol, each in needed.items() if isinstance(each, float)}
    return float(formation_energies([composition], np.array([energy]), known)[0])
