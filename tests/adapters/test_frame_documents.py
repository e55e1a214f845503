from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.frame_documents import lay_out, parse_frame
from nextrung.schemas.base import InputError

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


def test_structures_are_those_that_pymatgen_wrote() -> None:
    frame = parse_frame("a#0", SALT.as_dict(), LABELS)

    assert frame.atomic_numbers.tolist() == [55, 17]
    np.testing.assert_array_equal(frame.lattice, SALT.lattice.matrix)
    np.testing.assert_array_equal(frame.frac_coords, SALT.frac_coords)
    assert frame.energy == -6.5
    np.testing.assert_array_equal(frame.forces, LABELS["forces"])
    np.testing.assert_array_equal(frame.magmoms, [0.5, -0.5])


@pytest.mark.parametrize("stress", [VOIGT, MATRIX], ids=["voigt", "matrix"])
def test_either_layout_of_the_stress_is_the_same_matrix(stress: object) -> None:
    frame = parse_frame("a#0", SALT.as_dict(), LABELS | {"stress": stress})

    assert frame.stress.tolist() == MATRIX


@pytest.mark.parametrize("labels", [{}, dict.fromkeys(LABELS)])
def test_labels_that_are_not_there_are_nan(labels: dict[str, Any]) -> None:
    frame = parse_frame("a#0", SALT.as_dict(), labels)

    for label in (frame.energy, frame.forces, frame.stress, frame.magmoms):
        assert np.isnan(label).all()
    assert (frame.forces.shape, frame.stress.shape) == ((2, 3), (3, 3))


def test_frames_follow_one_another_in_our_units() -> None:
    """VASP's 10 kBar of compression are -1 GPa."""
    frames = lay_out(
        "mp-1",
        [parse_frame(name, SALT.as_dict(), LABELS) for name in ("a", "b")],
        functional="PBE",
        gpa_per_unit=-0.1,
    )

    assert frames.frame_ids.tolist() == ["a", "b"]
    assert frames.material_ids.tolist() == ["mp-1", "mp-1"]
    assert frames.offsets.tolist() == [0, 2, 4]
    assert frames.energies.tolist() == [-6.5, -6.5]
    np.testing.assert_allclose(frames.stresses[1], -0.1 * np.array(MATRIX), rtol=1e-6)
    assert frames.to_structures()[1] == SALT


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"energy": "low"}, "frame a#0: expected numbers as energy, met 'low'"),
        ({"energy": [1.0]}, r"expected energy of shape \(\), met \(1,\)"),
        ({"forces": [[1.0, 2.0]]}, r"expected forces of shape \(2, 3\), met \(1, 2\)"),
        ({"forces": [[1.0], [1.0, 2.0]]}, "expected numbers as forces"),
        ({"stress": [1.0, 2.0]}, r"expected stress of shape \(3, 3\), met \(2,\)"),
        ({"magmoms": [1.0]}, r"expected magmoms of shape \(2,\), met \(1,\)"),
        ({"magmoms": {"a": 1}}, "expected numbers as magmoms"),
    ],
)
def test_a_label_of_another_type_or_shape_is_refused(
    labels: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        parse_frame("a#0", SALT.as_dict(), LABELS | labels)


def garbled(**site: Any) -> dict[str, Any]:  # noqa: ANN401
    document: dict[str, Any] = SALT.as_dict()
    document["sites"][1] |= site
    return document


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        (None, "ordered sites, met 'NoneType'"),
        ({}, "frame a#0: expected a structure of ordered sites, met 'sites'"),
        (garbled(species=[]), "ordered sites, met 1 elements on 2 sites"),
        (garbled(species=[{"element": "Cl", "occu": 0.5}]), "met 0.5 Cl"),
        (garbled(species=[{"element": "Xx", "occu": 1}]), "met 'Xx'"),
        (garbled(abc=[0, 0]), "ordered sites, met "),
        (garbled(abc=["x", 0, 0]), "ordered sites, met "),
        (
            SALT.as_dict() | {"lattice": {"matrix": [[1, 0, 0]]}},
            "three lattice vectors",
        ),
    ],
)
def test_what_is_no_ordered_structure_is_refused(
    structure: object, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        parse_frame("a#0", structure, LABELS)


def test_a_cell_without_a_volume_is_refused() -> None:
    document = SALT.as_dict() | {
        "lattice": {"matrix": [[1, 0, 0], [0, 1, 0], [1, 1, 0]]}
    }
    frame = parse_frame("a#0", document, LABELS)

    with pytest.raises(
        InputError, match="frame a#0: expected a crystal, met a cell wi"
    ):
        lay_out("a", [frame], functional="PBE", gpa_per_unit=1.0)
