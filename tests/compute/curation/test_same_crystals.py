from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.same_crystals import group_same_crystals
from nextrung.schemas.labels.curation import CrystalTolerance

MIDDLE = [0.5, 0.5, 0.5]


def rock_salt(length: float = 5.6, cation: str = "Na") -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(length), [cation, "Cl"], [[0, 0, 0], MIDDLE]
    )


def caesium_chloride() -> Structure:
    return Structure(Lattice.cubic(3.4), ["Na", "Cl"], [[0, 0, 0], MIDDLE])


def test_one_crystal_under_several_names_is_one_group() -> None:
    """Other cells, a little strain and other settings of the origin among them."""
    shifted = rock_salt(5.62)
    shifted.translate_sites(range(len(shifted)), [0.13, 0.2, 0.1])
    structures = {
        "job-2/relax": rock_salt(),
        "job-1/relax": rock_salt().get_primitive_structure(),
        "job-3/static": shifted,
        "cscl": caesium_chloride(),
        "kcl": rock_salt(cation="K"),
    }

    groups = group_same_crystals(structures, CrystalTolerance())

    assert groups == {
        "job-2/relax": "job-1/relax",
        "job-1/relax": "job-1/relax",
        "job-3/static": "job-1/relax",
        "cscl": "cscl",
        "kcl": "kcl",
    }


@pytest.mark.parametrize(("site", "n_groups"), [(0.3, 1), (0.001, 2)])
def test_the_tolerance_decides(site: float, n_groups: int) -> None:
    displaced = rock_salt().perturb(0.1, seed=0)
    structures = {"a": rock_salt(), "b": displaced}

    groups = group_same_crystals(structures, CrystalTolerance(site=site))

    assert len(set(groups.values())) == n_groups


def test_no_materials_are_no_groups() -> None:
    assert group_same_crystals({}, CrystalTolerance()) == {}
