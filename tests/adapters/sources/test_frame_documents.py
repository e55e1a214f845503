from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.sources.frame_documents import FrameDocument, flatten_documents
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextrung.schemas.frames import Frames

#: xx, yy, zz, yz, xz, xy.
VOIGT = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
MATRIX = [[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]

SALT = Structure(
    Lattice([[0, 2, 2], [2, 0, 2], [2, 2, 0.5]]), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3]
)
LABELS: dict[str, Any] = {
    "energy": -6.5,
    "forces": [[0.1, 0.2, 0.3], [0.0, 0, 0]],
    "stress": MATRIX,
    "magmoms": [0.5, -0.5],
}


def read(structure: object, labels: dict[str, Any]) -> Frames:
    """Read the frame of one document without conversion of the stress."""
    documents = [FrameDocument("a#0", structure, labels)]
    return flatten_documents("a", documents, functional="PBE", gpa_per_unit=1.0)


def test_structures_equal_those_of_pymatgen() -> None:
    frames = read(SALT.as_dict(), LABELS)

    assert frames.atomic_numbers.tolist() == [55, 17]
    np.testing.assert_array_equal(frames.lattices[0], SALT.lattice.matrix)
    np.testing.assert_array_equal(frames.frac_coords, SALT.frac_coords)
    assert frames.energies.tolist() == [-6.5]
    np.testing.assert_array_equal(frames.forces, np.float32(LABELS["forces"]))
    np.testing.assert_array_equal(frames.magmoms, [0.5, -0.5])


@pytest.mark.parametrize("stress", [VOIGT, MATRIX], ids=["voigt", "matrix"])
def test_both_layouts_of_the_stress_give_the_same_matrix(stress: object) -> None:
    frames = read(SALT.as_dict(), LABELS | {"stress": stress})

    assert frames.stresses[0].tolist() == MATRIX


@pytest.mark.parametrize("labels", [{}, dict.fromkeys(LABELS)])
def test_missing_labels_are_nan(labels: dict[str, Any]) -> None:
    frames = read(SALT.as_dict(), labels)

    for label in (frames.energies, frames.forces, frames.stresses, frames.magmoms):
        assert np.isnan(label).all()
    assert (frames.forces.shape, frames.stresses.shape) == ((2, 3), (1, 3, 3))


def test_moments_of_some_sites_are_kept() -> None:
    frames = read(SALT.as_dict(), LABELS | {"magmoms": [0.5, None]})

    np.testing.assert_array_equal(frames.magmoms, [0.5, np.nan])


def test_frames_are_concatenated_in_the_units_of_the_package() -> None:
    """VASP's 10 kBar of compression are -1 GPa."""
    large = SALT.make_supercell([2, 1, 1], in_place=False)
    without = {"energy": -13.0, "stress": VOIGT}
    frames = flatten_documents(
        "mp-1",
        [
            FrameDocument("a", SALT.as_dict(), LABELS),
            FrameDocument("b", large.as_dict(), without),
            FrameDocument("c", SALT.as_dict(), LABELS),
        ],
        functional="PBE",
        gpa_per_unit=-0.1,
    )

    assert frames.frame_ids.tolist() == ["a", "b", "c"]
    assert frames.material_ids.tolist() == ["mp-1"] * 3
    assert frames.offsets.tolist() == [0, 2, 6, 8]
    assert frames.energies.tolist() == [-6.5, -13, -6.5]
    for stress in frames.stresses:
        np.testing.assert_allclose(stress, -0.1 * np.array(MATRIX), rtol=1e-6)
    assert np.isnan(frames.forces).any(axis=1).tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert frames.to_structures() == [SALT, large, SALT]


def test_only_a_stress_is_expanded_from_six_components() -> None:
    """Only a stress has six components."""
    structure = Structure(Lattice.cubic(4), ["H"] * 3, np.eye(3) / 2).as_dict()

    with pytest.raises(InputError, match=r"expected forces as numbers of shape \(3, 3"):
        read(structure, {"forces": VOIGT})


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"energy": "low"}, r"energy as numbers of shape \(\), got 'low'"),
        ({"energy": "-6.5"}, r"energy as numbers of shape \(\), got '-6.5'"),
        ({"energy": True}, r"energy as numbers of shape \(\), got 'True'"),
        ({"energy": [1.0]}, r"energy as numbers of shape \(\), got '\[1.0\]'"),
        ({"forces": 1.0}, r"forces as numbers of shape \(2, 3\), got '1.0'"),
        ({"forces": [[1.0, 2.0]]}, r"forces as numbers of shape \(2, 3\), got "),
        ({"forces": [[1.0], [1.0, 2.0]]}, r"forces as numbers of shape \(2, 3\)"),
        ({"forces": [[1, 2, 3], [1, 2, "3"]]}, "forces as numbers of shape"),
        ({"stress": [1.0, 2.0]}, r"stress as numbers of shape \(3, 3\), got "),
        ({"stress": ["x"] * 6}, r"stress as numbers of shape \(3, 3\), got "),
        ({"magmoms": [1.0]}, r"magmoms as numbers of shape \(2,\), got '\[1.0\]'"),
        ({"magmoms": {"a": 1, "b": 2}}, r"magmoms as numbers of shape \(2,\), got "),
    ],
)
def test_a_label_of_another_type_or_shape_is_rejected(
    labels: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=f"frame a#0: expected {reason}"):
        read(SALT.as_dict(), LABELS | labels)


def garbled(**site: Any) -> dict[str, Any]:  # noqa: ANN401
    document: dict[str, Any] = SALT.as_dict()
    document["sites"][1] |= site
    return document


def with_lattice(*vectors: list[Any]) -> dict[str, Any]:
    document: dict[str, Any] = SALT.as_dict()
    return document | {"lattice": {"matrix": list(vectors)}}


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        (None, "'NoneType'"),
        ({}, "'sites'"),
        (SALT.as_dict() | {"sites": []}, "no sites"),
        (SALT.as_dict() | {"sites": {"a": 1}}, ""),
        (garbled(species=[]), "not enough values to unpack"),
        (garbled(species=[{"element": "Cl", "occu": 0.5}]), "an occupancy of 0.5"),
        (garbled(species=[{"element": "Xx", "occu": 1}]), "'Xx'"),
        (garbled(abc=[0, 0]), "setting an array element"),
        (garbled(abc=["x", 0, 0]), "<U32 of shape"),
        (garbled(abc=[None, 0, 0]), "object of shape"),
        (with_lattice([1, 0, 0]), r"int64 of shape \(1, 1, 3\)"),
        (with_lattice([1, 0, 0], [0, 1, 0], [1, 1, 0]), "a cell without a volume"),
    ],
)
def test_anything_but_an_ordered_structure_is_rejected(
    structure: object, reason: str
) -> None:
    with pytest.raises(
        InputError,
        match=f"frame a#0: expected a structure of .*, got {reason}",
    ):
        read(structure, LABELS)


@pytest.mark.parametrize(
    ("structure", "labels"),
    [
        (garbled(abc=["x", 0, 0]), LABELS),
        (SALT.as_dict(), LABELS | {"forces": [[0.0, 0, 0]]}),
        (SALT.as_dict() | {"sites": []}, {}),
    ],
    ids=["structure", "label", "nothing"],
)
def test_the_error_names_the_invalid_frame(
    structure: object, labels: dict[str, Any]
) -> None:
    """All are read at once, and one is invalid."""
    good, bad = (
        FrameDocument(name, document, given)
        for name, document, given in (
            ("good", SALT.as_dict(), LABELS),
            ("bad", structure, labels),
        )
    )

    with pytest.raises(InputError, match="frame bad: "):
        flatten_documents("a", [good, bad, good], functional="PBE", gpa_per_unit=1.0)


def list_places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """List the path to every value of a document."""
    yield place
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from list_places(value[key], (*place, key))


DOCUMENT = {"structure": SALT.as_dict(), "labels": LABELS}


@pytest.mark.parametrize("wrong", [None, 1, -1.5, "", "1", [], {}, [1.5], {"a": 1}])
def test_a_value_of_another_type_anywhere_is_an_input_error(wrong: object) -> None:
    """Every value of a document in turn."""
    n_refused = 0
    for place in list_places(DOCUMENT):
        document = copy.deepcopy(DOCUMENT)
        owner: Any = document
        if place[1:]:
            for key in place[:-1]:
                owner = owner[key]
            owner[place[-1]] = wrong
            try:
                read(document["structure"], document["labels"])
            except InputError:
                n_refused += 1
    assert n_refused > 5
