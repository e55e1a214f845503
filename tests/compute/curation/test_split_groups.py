from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.split_groups import group_materials
from nextrung.schemas.dataset import SplitSettings, SplitUnit

MIDDLE = [0.5, 0.5, 0.5]
NACL3 = [[0, 0, 0], [0, 0, 0.3], [0, 0, 0.5], [0, 0, 0.7]]


def caesium_chloride(cation: str, length: float = 3.4) -> Structure:
    return Structure(Lattice.cubic(length), [cation, "Cl"], [[0, 0, 0], MIDDLE])


def rock_salt(cation: str) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), [cation, "Cl"], [[0, 0, 0], MIDDLE]
    )


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
@pytest.mark.parametrize(
    ("unit", "groups"),
    [
        ("material", ["again", "cscl", "kcl", "nacl", "nacl3"]),
        ("crystal", ["again+cscl", "kcl", "nacl", "nacl3"]),
        ("formula", ["again+cscl+nacl", "kcl", "nacl3"]),
        ("chemical_system", ["again+cscl+nacl+nacl3", "kcl"]),
        ("prototype", ["again+cscl", "kcl+nacl", "nacl3"]),
    ],
)
def test_materials_are_grouped_by_the_unit_of_the_split(
    unit: str, groups: list[str]
) -> None:
    structures = {
        "again": caesium_chloride("Na", 3.45),
        "cscl": caesium_chloride("Na"),
        "kcl": rock_salt("K"),
        "nacl": rock_salt("Na"),
        "nacl3": Structure(Lattice.cubic(6), ["Na", "Cl", "Cl", "Cl"], NACL3),
    }

    found = group_materials(structures, SplitSettings(unit=SplitUnit(unit)))

    members: dict[str, list[str]] = {}
    for name, group in found.items():
        members.setdefault(group, []).append(name)
    assert sorted("+".join(names) for names in members.values()) == sorted(groups)
