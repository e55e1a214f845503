"""Measured properties of simple crystals, part of the package."""

from __future__ import annotations

import csv
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from ase import units

from nextrung.adapters.files.crystals.elastic_crystals import (
    ELASTIC_TABLE,
    read_elastic_crystals,
)
from nextrung.adapters.files.crystals.experimental_crystals import (
    TABLE,
    read_crystal_table,
    read_embedded_crystals,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.benchmark import (
    BenchmarkFact,
    BenchmarkProperty,
    BenchmarkTable,
    ReferencePhase,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pymatgen.core import Structure

    from nextrung.schemas.benchmark import BenchmarkSettings

_FOLDER = files("nextrung.adapters.files.crystals")
#: Initial structures of crystals that have facts, but no measured density here.
CRYSTAL_TABLE = _FOLDER / "benchmark_crystals.csv"
#: Lattice parameters in Å, bulk moduli in GPa, and formation enthalpies in kJ/mol of
#: reduced formulas.
FACT_TABLE = _FOLDER / "benchmark_facts.csv"
#: Phases of the elements; bond lengths in Å, enthalpies in kJ/mol of atoms.
PHASE_TABLE = _FOLDER / "reference_phases.csv"

_EV = units.kJ / units.mol

#: Temperature of the elastic constants of the package in K.
_ROOM_TEMPERATURE = 298.0


def read_benchmark(settings: BenchmarkSettings) -> BenchmarkTable:
    """Read the facts of a benchmark, and the structures that they need.

    Parameters
    ----------
    settings : BenchmarkSettings
        Properties and crystals.

    Raises
    ------
    InputError
        If a crystal is unknown, or the crystals have none of the properties.
    """
    measured = read_embedded_crystals()
    others = read_crystal_table(CRYSTAL_TABLE)
    crystals = {each.crystal_id: each.structure for each in (*others, *measured)}
    known = _read_facts(crystals)
    known += [
        BenchmarkFact(
            crystal_id=each.crystal_id,
            formula=each.structure.composition.reduced_formula,
            property=BenchmarkProperty.DENSITY,
            experiment=float(each.structure.density),
            temperature=each.temperature or 0,
            reference=each.reference or "",
        )
        for each in measured
    ]
    facts = _select(known, settings)
    phases = _select_phases(facts, crystals)
    needed = {fact.crystal_id for fact in facts}
    needed |= {phase.crystal_id for phase in phases if phase.crystal_id is not None}
    return BenchmarkTable(
        facts=facts,
        crystals={name: crystals[name] for name in crystals if name in needed},
        phases=phases,
    )


def digest_benchmark() -> str:
    """Hash the tables of crystals, facts and reference phases."""
    tables = (TABLE, ELASTIC_TABLE, CRYSTAL_TABLE, FACT_TABLE, PHASE_TABLE)
    return sha256(b"".join(table.read_bytes() for table in tables)).hexdigest()


def _read_facts(crystals: Mapping[str, Structure]) -> list[BenchmarkFact]:
    """Read the table of facts, and the bulk moduli of the elastic constants."""
    with FACT_TABLE.open(encoding="utf-8") as file:
        facts = [_read_fact(row, crystals) for row in csv.DictReader(file)]
    facts += [
        BenchmarkFact(
            crystal_id=each.crystal_id,
            formula=each.structure.composition.reduced_formula,
            property=BenchmarkProperty.BULK_MODULUS,
            experiment=(each.c11 + 2 * each.c12) / 3,
            temperature=_ROOM_TEMPERATURE,
            reference=each.reference,
        )
        for each in read_elastic_crystals()
    ]
    return facts


def _read_fact(
    row: Mapping[str, str], crystals: Mapping[str, Structure]
) -> BenchmarkFact:
    """Read one fact; convert enthalpies to eV/atom."""
    composition = crystals[row["crystal_id"]].composition
    kind = BenchmarkProperty(row["property"])
    experiment = float(row["experiment"])
    if kind is BenchmarkProperty.FORMATION_ENTHALPY:
        experiment *= _EV / composition.reduced_composition.num_atoms
    return BenchmarkFact(
        crystal_id=row["crystal_id"],
        formula=composition.reduced_formula,
        property=kind,
        experiment=experiment,
        temperature=float(row["temperature"]),
        reference=row["reference"],
    )


def _select(
    facts: Iterable[BenchmarkFact], settings: BenchmarkSettings
) -> list[BenchmarkFact]:
    """Select facts by property and crystal, in the order of the properties."""
    ordered = [
        fact
        for kind in BenchmarkProperty
        for fact in facts
        if fact.property is kind and kind in settings.properties
    ]
    if settings.crystals is None:
        return ordered
    known = dict.fromkeys(fact.crystal_id for fact in ordered)
    for crystal_id in settings.crystals:
        if crystal_id not in known:
            raise InputError(
                f"benchmark: expected crystals among {', '.join(known)}, got "
                f"{crystal_id}"
            )
    return [fact for fact in ordered if fact.crystal_id in settings.crystals]


def _select_phases(
    facts: Iterable[BenchmarkFact], crystals: Mapping[str, Structure]
) -> list[ReferencePhase]:
    """Read the reference phases of the elements in formation enthalpies."""
    wanted = {
        element.symbol
        for fact in facts
        if fact.property is BenchmarkProperty.FORMATION_ENTHALPY
        for element in crystals[fact.crystal_id].composition.elements
    }
    with PHASE_TABLE.open(encoding="utf-8") as file:
        return [
            ReferencePhase(
                symbol=row["symbol"],
                crystal_id=row["crystal_id"] or None,
                bond_length=float(row["bond_length"]) if row["bond_length"] else None,
                enthalpy=float(row["enthalpy"]) * _EV,
                reference=row["reference"],
            )
            for row in csv.DictReader(file)
            if row["symbol"] in wanted
        ]
