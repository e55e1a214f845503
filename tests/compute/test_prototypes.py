from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nextrung.compute.prototypes import PROTOTYPES, Parameters, build_crystal
from nextrung.schemas.base import InputError

SYMBOLS = ("Sr", "Ti", "O")
ALL_PARAMETERS = {"a": 4.0, "c": 6.3, "internal": 0.31}


@pytest.mark.parametrize(
    ("prototype", "space_group", "formula"),
    [
        ("fcc", "Fm-3m", "Sr"),
        ("bcc", "Im-3m", "Sr"),
        ("hcp", "P6_3/mmc", "Sr"),
        ("diamond", "Fd-3m", "Sr"),
        ("rocksalt", "Fm-3m", "SrTi"),
        ("zincblende", "F-43m", "SrTi"),
        ("fluorite", "Fm-3m", "SrTi2"),
        ("cscl", "Pm-3m", "SrTi"),
        ("perovskite", "Pm-3m", "SrTiO3"),
        ("wurtzite", "P6_3mc", "SrTi"),
        ("rutile", "P4_2/mnm", "SrTi2"),
    ],
)
@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_prototypes_have_their_space_group_and_a_primitive_cell(
    prototype: str, space_group: str, formula: str
) -> None:
    kind = PROTOTYPES[prototype]
    given = {name: ALL_PARAMETERS[name] for name in ("a", *kind.parameters)}

    crystal = build_crystal(prototype, SYMBOLS[: kind.n_symbols], Parameters(**given))

    assert SpacegroupAnalyzer(crystal).get_space_group_symbol() == space_group
    assert crystal.composition.reduced_formula == formula
    assert len(crystal.get_primitive_structure()) == len(crystal)


def test_every_prototype_is_tested() -> None:
    assert len(PROTOTYPES) == 11


def test_rutile_is_pymatgens_rutile() -> None:
    ours = build_crystal("rutile", ["Ti", "O"], Parameters(4.5937, 2.9587, 0.3048))

    theirs = Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.5937, 2.9587),
        ["Ti", "O"],
        [[0, 0, 0], [0.3048, 0.3048, 0]],
    )
    assert ours.matches(theirs, ltol=1e-6, stol=1e-6, angle_tol=1e-6)


@pytest.mark.parametrize(
    ("prototype", "symbols", "parameters", "message"),
    [
        ("spinel", ["Mg"], Parameters(8.0), "a prototype among fcc, .* got spinel"),
        ("fcc", ["Cu", "Zn"], Parameters(3.6), "expected 1 elements in fcc, got 2"),
        ("hcp", ["Mg"], Parameters(3.2), "expected a, c for hcp, got a"),
        ("bcc", ["Fe"], Parameters(2.9, c=3.0), "expected a for bcc, got a, c"),
    ],
    ids=["prototype", "elements", "missing", "extra"],
)
def test_crystals_that_do_not_fit_their_prototype_are_rejected(
    prototype: str, symbols: list[str], parameters: Parameters, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build_crystal(prototype, symbols, parameters)
