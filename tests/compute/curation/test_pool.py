from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.pool import (
    find_held_out,
    find_labelled,
    validate_pool_elements,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import SplitSettings, SplitUnit
from nextrung.schemas.frames import Frames

SALT = Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
ZINC_BLENDE = Structure.from_spacegroup(
    "F-43m", Lattice.cubic(6.0), ["Na", "Cl"], [[0, 0, 0], [0.25] * 3]
)
SODIUM = Structure(Lattice.cubic(4.0), ["Na", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]])
DATASET = Frames.from_structures([SODIUM, SALT], ["sodium#0", "salt#0"])
DATASET = replace(
    DATASET,
    material_ids=np.array(["sodium", "salt"]),
    splits=np.array(["train", "test"]),
)


def make_pool(*structures: Structure) -> Frames:
    return Frames.from_structures(structures, [f"p{i}" for i in range(len(structures))])


@pytest.mark.parametrize("unit", [SplitUnit.MATERIAL, SplitUnit.CRYSTAL])
def test_a_strained_copy_of_a_held_out_crystal_is_left_out(unit: SplitUnit) -> None:
    strained = SALT.copy()
    strained.apply_strain(0.02)

    left_out = find_held_out(
        make_pool(SODIUM, strained * (2, 1, 1), ZINC_BLENDE),
        DATASET,
        SplitSettings(unit=unit),
    )

    assert left_out == {1: "held-out material salt is in the same group"}


def test_the_unit_of_the_split_is_that_of_the_pool() -> None:
    """With formulas as units, another polymorph is of the held-out unit."""
    settings = SplitSettings(unit=SplitUnit.FORMULA)

    assert set(find_held_out(make_pool(SODIUM, ZINC_BLENDE), DATASET, settings)) == {1}


def test_structures_of_one_material_are_left_out_together() -> None:
    pool = make_pool(SALT, ZINC_BLENDE, SODIUM)
    pool = replace(pool, material_ids=np.array(["a", "a", "b"]))

    assert set(find_held_out(pool, DATASET, SplitSettings())) == {0, 1}


def test_a_structure_named_as_a_held_out_material_is_left_out() -> None:
    pool = replace(make_pool(SODIUM), material_ids=np.array(["salt"]))

    left_out = find_held_out(pool, DATASET, SplitSettings())

    assert left_out == {0: "its material salt is held out"}


def test_structures_that_are_labelled_already_are_left_out() -> None:
    pool = Frames.from_structures([SODIUM] * 3, ["sodium", "sodium#0", "other"])

    assert set(find_labelled(pool, DATASET)) == {0, 1}


def test_an_element_that_the_study_lacks_is_an_error_that_names_it() -> None:
    potassium = SALT.copy()
    potassium.replace_species({"Na": "K"})

    with pytest.raises(InputError, match=r"elements of the data set.*got K in p1"):
        validate_pool_elements(make_pool(SALT, potassium), DATASET)
