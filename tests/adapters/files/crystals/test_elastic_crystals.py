from __future__ import annotations

import pytest

from nextrung.adapters.files.crystals.elastic_crystals import (
    digest_elastic_crystals,
    read_elastic_crystals,
)
from nextrung.schemas.base import InputError

#: Bulk moduli at room temperature in GPa, rounded, from handbooks.
BULK_MODULI = {
    "C diamond": 443,
    "Si diamond": 98,
    "Ge diamond": 75,
    "Al fcc": 76,
    "Ni fcc": 183,
    "Cu fcc": 137,
    "Fe bcc": 168,
    "LiF rocksalt": 65,
    "NaCl rocksalt": 24.5,
    "MgO rocksalt": 163,
    "CaO rocksalt": 113,
    "GaAs zincblende": 75.5,
}


def test_bulk_moduli_are_those_of_handbooks() -> None:
    crystals = read_elastic_crystals()

    found = {each.crystal_id: (each.c11 + 2 * each.c12) / 3 for each in crystals}
    assert found == pytest.approx(BULK_MODULI, rel=0.01)


def test_every_crystal_is_stable_and_has_its_source() -> None:
    for crystal in read_elastic_crystals():
        assert crystal.c11 > crystal.c12
        assert crystal.reference


def test_crystals_are_read_in_the_order_given() -> None:
    chosen = ["MgO rocksalt", "C diamond"]

    assert [each.crystal_id for each in read_elastic_crystals(chosen)] == chosen


def test_an_unknown_crystal_names_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"among C diamond, .*, got Si$"):
        read_elastic_crystals(["Si"])


def test_the_digest_is_that_of_the_tables() -> None:
    assert digest_elastic_crystals() == digest_elastic_crystals()
    assert len(digest_elastic_crystals()) == 64
