from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.validity import (
    ISOLATED_ATOM,
    check_cells,
)
from nextrung.potentials.prediction import check_crystals
from nextrung.potentials.registry import load_potential

BACKEND = load_potential("chgnet-r2scan", "cpu").backend
SALT = Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def with_coords(coords: list[list[float]], edge: float = 4.0) -> Crystals:
    structure = Structure(Lattice.cubic(edge), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    return replace(Crystals.of([structure]), frac_coords=np.array(coords))


def with_lattice(matrix: list[list[float]]) -> Crystals:
    return replace(Crystals.of([SALT]), lattices=np.array([matrix], dtype=float))


def with_number(number: int) -> Crystals:
    return replace(Crystals.of([SALT]), atomic_numbers=np.array([11, number]))


EMPTY = Crystals(
    offsets=np.array([0, 0]),
    atomic_numbers=np.zeros(0, np.int64),
    lattices=np.eye(3)[None],
    frac_coords=np.zeros((0, 3)),
)
CASES = {
    "no atoms": EMPTY,
    "a coordinate is not finite": with_coords([[0, 0, 0], [0, np.nan, 0]]),
    "the cell is not finite": with_lattice([[np.inf, 0, 0], [0, 4, 0], [0, 0, 4]]),
    "unknown to this potential: Am": with_number(95),
    "atomic number 119 is outside 1..118": with_number(119),
    "atomic number 0 is outside": with_number(0),
    "singular": with_lattice([[4, 0, 0], [0, 4, 0], [4, 4, 0]]),
    "0.0625 Å³ per atom, less than 0.5 Å³": with_lattice((np.eye(3) / 2).tolist()),
    "a fractional coordinate is beyond": with_coords([[0, 0, 0], [1e9, 0, 0]]),
    "the cell is too skewed": with_lattice([[1, 0, 0], [3e3, 2, 0], [0, 3e3, 20]]),
    "the cell is too large": with_lattice([[4, 0, 0], [0, 1e5, 0], [0, 0, 1e5]]),
    "isolated atom: site 0 (Na) has no neighbour within 6 Å": with_coords(
        [[0, 0, 0], [0, 0, 0.5]], edge=14.0
    ),
    "overlapping atoms: site 0 (Na) and site 1 (Cl) are 0.200 Å": with_coords(
        [[0, 0, 0], [0, 0, 0.05]]
    ),
}


@pytest.mark.parametrize(("reason", "crystals"), CASES.items(), ids=CASES)
def test_each_invalid_crystal_has_its_reason(reason: str, crystals: Crystals) -> None:
    assert reason in check_crystals(BACKEND, crystals)[0]


@pytest.mark.parametrize("value", [5e-324, 1e-160, 1e160, 1e308])
def test_extreme_numbers_raise_no_exception(value: float) -> None:
    for entry in ((1, 1), (2, 1), (0, 2)):
        lattice = 4 * np.eye(3)
        lattice[entry] = value
        reasons = check_crystals(BACKEND, with_lattice(lattice.tolist()))
        assert reasons or value < 1


def test_a_valid_crystal_has_no_reason() -> None:
    assert check_crystals(BACKEND, Crystals.of([SALT])) == {}
    assert check_crystals(BACKEND, Crystals.of([])) == {}


def test_reasons_are_those_of_their_crystals() -> None:
    isolated = Structure(Lattice.cubic(20), ["Cs"], [[0, 0, 0]])
    tiny = Structure(Lattice.cubic(0.5), ["Cs"], [[0, 0, 0]])
    crystals = Crystals.of([SALT, isolated, SALT, tiny])
    assert list(check_cells(crystals)) == [3]
    reasons = check_crystals(BACKEND, crystals)
    assert set(reasons) == {1, 3}
    assert reasons[1].startswith(ISOLATED_ATOM)


def test_an_atom_with_its_own_image_near_is_not_isolated() -> None:
    assert (
        check_crystals(
            BACKEND, Crystals.of([Structure(Lattice.cubic(5.9), ["Cs"], [[0] * 3])])
        )
        == {}
    )


def test_a_crystal_of_too_many_angles_is_invalid() -> None:
    dense = Structure(Lattice.cubic(0.8), ["H"], [[0, 0, 0]]) * (10, 10, 10)
    assert "angles: too many" in check_crystals(BACKEND, Crystals.of([dense]))[0]
