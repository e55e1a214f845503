"""Values of the benchmark against what the potential predicts by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.crystals.benchmark_facts import read_benchmark
from nextrung.potentials.benchmark import run_benchmark
from nextrung.potentials.registry import load_potential
from nextrung.schemas.benchmark import (
    BenchmarkProperty,
    BenchmarkRecord,
    BenchmarkSettings,
)
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from nextrung.potentials.potential import Potential

SETTINGS = BenchmarkSettings(
    crystals=("MgO rocksalt",),
    relaxation=RelaxationSettings(fmax=0.01, fix_symmetry=True),
)


@pytest.fixture(scope="module")
def potential() -> Potential:
    return load_potential("chgnet-r2scan", "cpu")


def run(
    potential: Potential, settings: BenchmarkSettings = SETTINGS
) -> dict[BenchmarkProperty, BenchmarkRecord]:
    rows = run_benchmark(potential, read_benchmark(settings), settings)
    return {row.property: row for row in rows}


@pytest.fixture(scope="module")
def rows(potential: Potential) -> dict[BenchmarkProperty, BenchmarkRecord]:
    return run(potential)


def predict(potential: Potential, structure: Structure) -> float:
    """Energy of a structure relaxed by ASE, in eV/atom."""
    settings = RelaxationSettings(engine="ase", fmax=0.01)
    (relaxed,) = potential.relax([structure], settings)
    assert relaxed.energy is not None
    return relaxed.energy / len(structure)


def test_values_are_near_experiment(
    rows: dict[BenchmarkProperty, BenchmarkRecord],
) -> None:
    assert set(rows) == set(BenchmarkProperty)
    for kind, largest in zip(BenchmarkProperty, (0.03, 0.06, 0.3, 0.2), strict=True):
        deviation = rows[kind].deviation
        assert deviation is not None
        assert abs(deviation) < largest, kind


def test_density_is_that_of_the_lattice_parameter(
    rows: dict[BenchmarkProperty, BenchmarkRecord],
) -> None:
    lattice = rows[BenchmarkProperty.LATTICE_PARAMETER].value
    assert lattice is not None
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(lattice), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )

    assert rows[BenchmarkProperty.DENSITY].value == pytest.approx(
        float(cell.density), rel=5e-3
    )


def test_enthalpy_is_the_energy_of_the_compound_minus_its_elements(
    potential: Potential, rows: dict[BenchmarkProperty, BenchmarkRecord]
) -> None:
    """Relaxed by ASE, oxygen in a larger and skewed box."""
    magnesia = Structure(
        Lattice.from_parameters(2.98, 2.98, 2.98, 60, 60, 60),
        ["Mg", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    magnesium = Structure(
        Lattice.hexagonal(3.2, 5.2),
        ["Mg"] * 2,
        [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]],
    )
    energies = {
        distance: prediction.energy / 2
        for distance in np.arange(1.10, 1.40, 0.005)
        if (
            prediction := potential.predict(
                Structure(
                    Lattice.from_parameters(18, 17, 16, 80, 85, 95),
                    ["O"] * 2,
                    [[1, 1, 1], [1 + distance, 1, 1]],
                    coords_are_cartesian=True,
                )
            )[0]
        ).energy
        is not None
    }
    elements = (predict(potential, magnesium) + min(energies.values())) / 2

    expected = predict(potential, magnesia) - elements

    found = rows[BenchmarkProperty.FORMATION_ENTHALPY].value
    assert found == pytest.approx(expected, abs=3e-3)


def test_enthalpies_do_not_change_with_atomic_references(
    potential: Potential, rows: dict[BenchmarkProperty, BenchmarkRecord]
) -> None:
    """They cancel, since the elements are those of the same model."""
    shift = {"Mg": 3.0, "O": -2.0}
    moved = potential.with_atom_refs(
        {e: r + shift.get(e, 0.0) for e, r in potential.atom_refs.items()}
    )

    found = run(moved)

    for kind in BenchmarkProperty:
        assert found[kind].value == pytest.approx(rows[kind].value, abs=2e-3), kind


def test_an_element_without_reference_costs_the_rows_that_need_its_energy(
    potential: Potential,
) -> None:
    references = {e: r for e, r in potential.atom_refs.items() if e != "O"}

    found = run(potential.with_atom_refs(references))

    enthalpy = found[BenchmarkProperty.FORMATION_ENTHALPY]
    assert enthalpy.value is None
    assert "reference phase of O: " in (enthalpy.error or "")
    assert found[BenchmarkProperty.DENSITY].value is not None


def test_a_relaxation_that_does_not_end_is_a_row_with_its_status(
    potential: Potential,
) -> None:
    hasty = SETTINGS.model_copy(
        update={"relaxation": RelaxationSettings(fmax=1e-9, max_steps=1)}
    )

    found = run(potential, hasty)

    assert {row.value for row in found.values()} == {None}
    assert {
        row.error for kind, row in found.items() if kind != "formation_enthalpy"
    } == {"relaxation: max_steps"}


def test_progress_counts_crystals_and_molecules(potential: Potential) -> None:
    counted: list[tuple[int, int]] = []
    table = read_benchmark(SETTINGS)

    run_benchmark(
        potential,
        table,
        SETTINGS,
        on_structure=lambda done, total: counted.append((done, total)),
    )

    assert counted == [(1, 3), (2, 3), (3, 3)]  # MgO, Mg and O2
