"""Embedded facts: consistent with each other and with second sources."""

from __future__ import annotations

import csv

import pytest
from ase import units

from nextrung.adapters.files.crystals.benchmark_facts import (
    FACT_TABLE,
    PHASE_TABLE,
    digest_benchmark,
    read_benchmark,
)
from nextrung.compute.physics.scores import find_lattice_parameter
from nextrung.schemas.base import InputError
from nextrung.schemas.benchmark import (
    BenchmarkFact,
    BenchmarkProperty,
    BenchmarkSettings,
)

TABLE = read_benchmark(BenchmarkSettings())

#: Standard enthalpies of formation in kJ/mol as the CRC Handbook of Chemistry and
#: Physics rounds them (from memory), a compilation that the table was not made from.
CRC = {
    "LiF rocksalt": -616.0,
    "LiCl rocksalt": -408.6,
    "LiBr rocksalt": -351.2,
    "NaF rocksalt": -576.6,
    "NaCl rocksalt": -411.2,
    "NaBr rocksalt": -361.1,
    "KF rocksalt": -567.3,
    "KCl rocksalt": -436.5,
    "KBr rocksalt": -393.8,
    "CsCl cscl": -443.0,
    "CsI cscl": -346.6,
    "MgF2 rutile": -1124.2,
    "CaF2 fluorite": -1228.0,
    "BaF2 fluorite": -1207.1,
    "SrCl2 fluorite": -828.9,
    "AgCl rocksalt": -127.0,
    "Li2O fluorite": -597.9,
    "Na2O fluorite": -414.2,
    "BeO wurtzite": -609.4,
    "MgO rocksalt": -601.6,
    "CaO rocksalt": -634.9,
    "SrO rocksalt": -592.0,
    "BaO rocksalt": -548.0,
    "ZnO wurtzite": -350.5,
    "CdO rocksalt": -258.4,
    "NiO rocksalt": -239.7,
    "TiO2 rutile": -944.0,
    "GeO2 rutile": -580.0,
    "SnO2 rutile": -577.6,
    "AlN wurtzite": -318.0,
    "TiC rocksalt": -184.5,
    "BaTiO3 perovskite": -1659.8,
}


def select(kind: BenchmarkProperty) -> dict[str, BenchmarkFact]:
    return {fact.crystal_id: fact for fact in TABLE.facts if fact.property is kind}


def test_enthalpies_are_those_of_a_second_compilation() -> None:
    """Compilations agree within 2 kJ per mol of atoms."""
    facts = select(BenchmarkProperty.FORMATION_ENTHALPY)

    for crystal_id, enthalpy in CRC.items():
        per_atom = enthalpy / TABLE.crystals[crystal_id].composition.num_atoms
        if crystal_id == "TiO2 rutile":
            per_atom = enthalpy / 3  # of two formula units
        elif crystal_id.split()[1] in {"rutile", "wurtzite"}:
            per_atom *= 2
        found = facts[crystal_id].experiment * units.mol / units.kJ
        assert found == pytest.approx(per_atom, abs=2.0), crystal_id


def test_every_fact_has_its_reference_and_temperature() -> None:
    for fact in TABLE.facts:
        assert fact.reference
        assert fact.temperature in {0, 298}
        assert (fact.temperature == 0) == (
            fact.property is BenchmarkProperty.LATTICE_PARAMETER
        )


def test_crystals_shrink_from_room_temperature_to_rest() -> None:
    """By the numbers that the page states."""
    measured = select(BenchmarkProperty.DENSITY)
    shrunk = {
        crystal_id: 1
        - (fact.experiment / find_lattice_parameter(TABLE.crystals[crystal_id])) ** 3
        for crystal_id, fact in select(BenchmarkProperty.LATTICE_PARAMETER).items()
        if crystal_id in measured
    }

    assert len(shrunk) == 27
    assert sum(shrunk.values()) / len(shrunk) == pytest.approx(0.017, abs=0.001)
    assert min(shrunk.values()) == pytest.approx(shrunk["Ta bcc"])
    assert shrunk["Ta bcc"] == pytest.approx(0.004, abs=0.0005)
    assert max(shrunk.values()) == pytest.approx(shrunk["Na bcc"])


def test_zero_point_motion_raises_the_enthalpy_of_magnesia_as_stated() -> None:
    """By 48 meV/atom: 9/8 kT of Debye temperatures, and the vibration of O2."""
    magnesia, magnesium = (9 / 8 * units.kB * theta for theta in (946, 400))
    oxygen = 0.5 * 1568 * units.invcm / 2  # half of a molecule

    change = (2 * magnesia - magnesium - oxygen) / 2

    assert 1000 * change == pytest.approx(48, abs=1.5)


def test_every_element_of_an_enthalpy_has_one_reference_phase() -> None:
    symbols = [phase.symbol for phase in TABLE.phases]
    needed = {
        element.symbol
        for crystal_id in select(BenchmarkProperty.FORMATION_ENTHALPY)
        for element in TABLE.crystals[crystal_id].composition.elements
    }

    assert len(set(symbols)) == len(symbols)
    assert set(symbols) == needed
    with PHASE_TABLE.open() as file:
        assert {row["symbol"] for row in csv.DictReader(file)} == needed


def test_a_reference_phase_is_a_crystal_or_a_molecule_of_its_element() -> None:
    for phase in TABLE.phases:
        assert (phase.crystal_id is None) is (phase.bond_length is not None)
        if phase.crystal_id is not None:
            (element,) = TABLE.crystals[phase.crystal_id].composition.elements
            assert element.symbol == phase.symbol


def test_vapors_and_diamond_are_above_the_standard_state() -> None:
    enthalpies = {p.symbol: p.enthalpy for p in TABLE.phases if p.enthalpy}

    ev = units.kJ / units.mol
    assert enthalpies == pytest.approx(
        {"Br": 30.91 / 2 * ev, "I": 62.42 / 2 * ev, "C": 1.895 * ev, "Sn": -2.09 * ev}
    )


def test_facts_of_the_table_are_unique() -> None:
    keys = [(fact.crystal_id, fact.property) for fact in TABLE.facts]

    assert len(set(keys)) == len(keys)
    with FACT_TABLE.open() as file:
        assert 0 < len(list(csv.DictReader(file))) < len(keys)


def test_bulk_moduli_are_of_cubic_crystals() -> None:
    """Which alone change their shape in no way under pressure."""
    for crystal_id in select(BenchmarkProperty.BULK_MODULUS):
        assert find_lattice_parameter(TABLE.crystals[crystal_id]) > 0


def test_a_choice_of_crystals_needs_no_others() -> None:
    chosen = BenchmarkSettings(
        properties=(BenchmarkProperty.FORMATION_ENTHALPY,), crystals=("MgO rocksalt",)
    )

    table = read_benchmark(chosen)

    assert [fact.crystal_id for fact in table.facts] == ["MgO rocksalt"]
    assert set(table.crystals) == {"MgO rocksalt", "Mg hcp"}
    assert [phase.symbol for phase in table.phases] == ["Mg", "O"]


def test_a_crystal_without_the_property_is_an_error_that_names_the_others() -> None:
    chosen = BenchmarkSettings(
        properties=(BenchmarkProperty.BULK_MODULUS,), crystals=("Mg hcp",)
    )

    with pytest.raises(InputError, match=r"among Li bcc, .*, got Mg hcp$"):
        read_benchmark(chosen)


def test_the_digest_is_that_of_the_tables() -> None:
    assert digest_benchmark() == digest_benchmark()
    assert len(digest_benchmark()) == 64
