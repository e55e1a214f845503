"""Structures and atoms that users pass to ``predict`` and ``relax``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms, FixedPlane
from pymatgen.core import IStructure, Lattice, Molecule, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung.potentials.inputs import copy_structure, list_structures
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import (
    RelaxationEngine,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nextrung.potentials.potential import Potential

SALT = Structure(Lattice.cubic(3.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
SETTINGS = RelaxationSettings(max_steps=2)
HYDROGEN = Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]])
CELL = 3.5 * np.eye(3)
NOT_PERIODIC = "not periodic in all three directions"
#: Items that cannot be used, by the beginning of their reasons.
INVALID: list[tuple[object, str]] = [
    (None, "expected a pymatgen Structure or ASE Atoms, got None"),
    ("NaCl", "expected a pymatgen Structure or ASE Atoms, got a str"),
    ({"lattice": 3.5}, "expected a pymatgen Structure or ASE Atoms, got a dict"),
    (HYDROGEN, "expected a pymatgen Structure or ASE Atoms, got a Molecule"),
    (Atoms("Na"), NOT_PERIODIC),
    (Atoms("Na", cell=CELL, pbc=[True, True, False]), NOT_PERIODIC),
    (
        Structure(Lattice(CELL, pbc=(True, True, False)), ["Na"], [[0] * 3]),
        NOT_PERIODIC,
    ),
    (Atoms("Na", pbc=True), "the cell is singular"),
    (Atoms("Na", cell=np.ones((3, 3)), pbc=True), "the cell is singular"),
    (Atoms("Na", cell=CELL * np.nan, pbc=True), "the cell is not finite"),
    (Atoms("Na", [[np.nan, 0, 0]], cell=CELL, pbc=True), "a coordinate is not finite"),
    (Structure(CELL, ["Na"], [[np.nan, 0, 0]]), "a coordinate is not finite"),
    (Atoms(cell=CELL, pbc=True), "no atoms"),
    (Atoms("X", cell=CELL, pbc=True), "holds a dummy species"),
    (Structure(CELL, [{"Na": 0.5}], [[0, 0, 0]]), "disordered"),
]
REASONS = [reason for _, reason in INVALID]


def interleave() -> list[Any]:
    """List the invalid items, each followed by a valid one."""
    return [item for invalid, _ in INVALID for item in (invalid, SALT)]


@pytest.mark.parametrize(
    "given",
    [
        SALT,
        IStructure.from_sites(list(SALT)),
        AseAtomsAdaptor.get_atoms(SALT),
        [SALT],
        (AseAtomsAdaptor.get_atoms(SALT),),
        iter([SALT]),
        (structure for structure in [SALT]),
    ],
    ids=["structure", "immutable", "atoms", "list", "tuple", "iterator", "generator"],
)
def test_one_structure_has_a_list_of_one_result(
    given: Structure | Atoms | Iterable[Structure | Atoms], target: Potential
) -> None:
    (item,) = list_structures(given)

    assert isinstance(item, IStructure)
    assert item.matches(SALT)
    if not hasattr(given, "__next__"):  # which can be read only once
        (prediction,) = target.predict(given, "e")
        (record,) = target.relax(given, SETTINGS)
        assert prediction.energy == pytest.approx(record.initial_energy, abs=1e-5)


@pytest.mark.parametrize(
    "given", [None, "NaCl", b"NaCl", {"a": SALT}, 3, Path("POSCAR"), SALT[0]]
)
def test_other_objects_than_structures_are_rejected(
    given: Any,  # noqa: ANN401
    target: Potential,
) -> None:
    message = f"expected a pymatgen Structure, .* got .*{type(given).__name__[:4]}"

    for function in (list_structures, target.predict, target.relax):
        with pytest.raises(InputError, match=message):
            function(given)


def test_a_molecule_is_one_invalid_structure(target: Potential) -> None:
    given: Any = HYDROGEN

    (prediction,) = target.predict(given)

    assert (
        prediction.error == "expected a pymatgen Structure or ASE Atoms, got a Molecule"
    )


def test_each_invalid_item_of_a_prediction_is_a_row_with_its_reason(
    target: Potential,
) -> None:
    (expected,) = target.predict(SALT)

    predictions = target.predict(item for item in interleave())

    for prediction, reason in zip(predictions[::2], REASONS, strict=True):
        assert prediction.energy is None
        assert prediction.forces is None
        assert str(prediction.error).startswith(reason)
    for prediction in predictions[1::2]:
        assert prediction.energy == pytest.approx(expected.energy, abs=1e-5)


@pytest.mark.parametrize("engine", RelaxationEngine)
def test_each_invalid_item_of_a_relaxation_is_a_row_with_its_reason(
    engine: RelaxationEngine, target: Potential
) -> None:
    settings = SETTINGS.model_copy(update={"engine": engine})
    finished: list[int] = []

    records = target.relax(
        interleave(), settings, on_record=lambda index, _: finished.append(index)
    )

    assert sorted(finished) == list(range(2 * len(INVALID)))
    for record, reason in zip(records[::2], REASONS, strict=True):
        assert record.failed
        assert str(record.error).startswith(reason)
        is_finite = not reason.endswith("not finite")
        assert is_finite == (record.status is RelaxationStatus.ERROR)
    assert not any(record.failed for record in records[1::2])


@pytest.mark.parametrize("constraint", [FixAtoms([0]), FixedPlane(0, (0, 0, 1))])
def test_constraints_of_atoms_do_not_matter(
    constraint: FixAtoms | FixedPlane, target: Potential
) -> None:
    """pymatgen warns of those that it cannot convert."""
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    (expected,) = target.predict(atoms)
    atoms.set_constraint(constraint)

    (prediction,) = target.predict(atoms)

    np.testing.assert_array_equal(prediction.forces, expected.forces)


def test_positions_of_atoms_are_not_wrapped() -> None:
    atoms = Atoms("NaCl", [[0, 0, 0], [8.75, 1.75, -1.75]], cell=CELL, pbc=True)

    (structure,) = list_structures(atoms)

    assert isinstance(structure, IStructure)
    np.testing.assert_allclose(structure.frac_coords[1], [2.5, 0.5, -0.5])


@pytest.mark.parametrize("fix_symmetry", [False, True])
@pytest.mark.parametrize("engine", RelaxationEngine)
def test_a_relaxed_structure_keeps_its_species_labels_and_site_properties(
    engine: RelaxationEngine, target: Potential, *, fix_symmetry: bool
) -> None:
    structure = Structure(
        CELL,
        ["Na+", "Cl-"],
        SALT.frac_coords,
        site_properties={"magmom": [0.5, None], "wyckoff": ["a", "b"]},
        labels=["cation", "anion"],
    )
    settings = SETTINGS.model_copy(
        update={"engine": engine, "fix_symmetry": fix_symmetry}
    )

    (record,) = target.relax(structure, settings)

    assert record.structure is not None
    assert record.structure.species == structure.species
    assert record.structure.site_properties == structure.site_properties
    assert record.structure.labels == ["cation", "anion"]


def test_a_copy_has_its_own_cell_and_coordinates() -> None:
    copied = copy_structure(SALT, 2 * CELL, SALT.frac_coords + 1)

    assert copied.lattice == Lattice(2 * CELL)
    np.testing.assert_array_equal(copied.frac_coords, SALT.frac_coords + 1)
    assert SALT.lattice == Lattice(CELL)


@pytest.mark.parametrize("structures", [[SALT, None], SALT])
def test_evaluate_is_a_deprecated_name_of_predict(
    structures: Any,  # noqa: ANN401
    target: Potential,
) -> None:
    expected = target.predict(structures, "ef")

    with pytest.warns(DeprecationWarning, match="Potential.predict") as warned:
        predictions = target.evaluate(structures, "ef")

    assert [w.filename for w in warned] == [__file__]
    for prediction, other in zip(predictions, expected, strict=True):
        assert (prediction.energy, prediction.error) == (other.energy, other.error)
        np.testing.assert_array_equal(prediction.forces, other.forces)


def test_structures_and_atoms_have_the_same_predictions(
    target: Potential, structures: list[Structure]
) -> None:
    atoms = [AseAtomsAdaptor.get_atoms(structure) for structure in structures]
    predict = partial(target.predict, properties="ef")

    for own, other in zip(predict(structures), predict(atoms), strict=True):
        assert own.energy is not None
        assert other.energy == pytest.approx(own.energy, abs=1e-4)
