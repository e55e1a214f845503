from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.benchmark import (
    build_molecule,
    record_value,
    score_properties,
)
from nextrung.schemas.benchmark import BenchmarkFact, BenchmarkProperty


def make_fact(
    kind: BenchmarkProperty, experiment: float, crystal_id: str = "MgO rocksalt"
) -> BenchmarkFact:
    return BenchmarkFact(
        crystal_id=crystal_id,
        formula="MgO",
        property=kind,
        experiment=experiment,
        temperature=298,
        reference="a handbook",
    )


def test_deviations_are_relative_but_those_of_enthalpies() -> None:
    lattice = make_fact(BenchmarkProperty.LATTICE_PARAMETER, 4.0)
    enthalpy = make_fact(BenchmarkProperty.FORMATION_ENTHALPY, -3.0)

    assert record_value(lattice, 4.1).deviation == pytest.approx(0.025)
    assert record_value(enthalpy, -3.1).deviation == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("relaxation: max_steps", "relaxation: max_steps"),
        (float("nan"), "expected a number, got nan"),
    ],
)
def test_a_missing_value_is_a_row_with_its_reason(
    value: float | str, reason: str
) -> None:
    row = record_value(make_fact(BenchmarkProperty.DENSITY, 3.6), value)

    assert (row.value, row.deviation, row.error) == (None, None, reason)


def test_means_are_over_values_and_failures_are_counted() -> None:
    kind = BenchmarkProperty.DENSITY
    rows = [
        record_value(make_fact(kind, 2.0, "a"), 2.2),
        record_value(make_fact(kind, 2.0, "b"), 1.6),
        record_value(make_fact(kind, 2.0, "c"), "no energy"),
    ]

    (score,) = score_properties(rows)

    assert (score.n_facts, score.n_without_value) == (3, 1)
    assert score.mean_deviation == pytest.approx((0.1 - 0.2) / 2)
    assert score.mae == pytest.approx((0.1 + 0.2) / 2)


def test_without_values_there_are_no_means() -> None:
    row = record_value(make_fact(BenchmarkProperty.DENSITY, 2.0), "no energy")

    (score,) = score_properties([row])

    assert (score.mean_deviation, score.mae) == (None, None)


def test_a_molecule_has_its_bond_length_and_no_neighbor_but_its_own() -> None:
    molecule = build_molecule("O", 1.2, 15.0)

    assert molecule.get_distance(0, 1) == pytest.approx(1.2)
    assert np.allclose(molecule.cart_coords.mean(axis=0), 7.5)
    assert [len(found) for found in molecule.get_all_neighbors(10.0)] == [1, 1]
