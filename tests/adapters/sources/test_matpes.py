from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.sources.matpes import read_matpes
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import MatpesSource, StressUnit

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.labels.trajectory import Trajectory

SALT = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3])


def document(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "matpes_id": "matpes-7",
        "structure": SALT.as_dict(),
        "energy": -6.5,
        "forces": [[0.1, 0, 0], [-0.1, 0, 0]],
        "stress": [10.0, 20.0, 30.0, 4.0, 5.0, 6.0],
        "functional": "r2SCAN",
        "bader_magmoms": [9.0, 9.0],
        "provenance": {"original_mp_id": "mp-22865"},
    } | changes


def read(path: Path, **settings: Any) -> list[Trajectory]:  # noqa: ANN401
    source = MatpesSource(paths=(str(path),), **settings)
    return list(read_matpes(source, lambda _done, _total, _text: None))


def read_one(folder: Path, content: Any, **settings: Any) -> Trajectory:  # noqa: ANN401
    path = folder / "matpes.json"
    path.write_text(json.dumps(content))
    (run,) = read(path, **settings)
    return run


@pytest.mark.parametrize("content", [[document()], {"CsCl": document()}])
def test_a_document_is_one_frame_of_its_material(content: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """VASP's kBar in Voigt's order xx, yy, zz, yz, xz, xy."""
    run = read_one(tmp_path, content)

    frames = run.frames
    assert (run.material_id, frames.frame_ids.tolist()) == ("mp-22865", ["matpes-7"])
    assert (frames.functional, frames.energies.tolist()) == ("r2SCAN", [-6.5])
    np.testing.assert_allclose(frames.forces[1], [-0.1, 0, 0])
    np.testing.assert_allclose(
        frames.stresses[0],
        [[-1.0, -0.6, -0.5], [-0.6, -2.0, -0.4], [-0.5, -0.4, -3.0]],
        rtol=1e-6,
    )


def test_moments_are_those_of_the_sites_not_baders(tmp_path: Path) -> None:
    magnetic = SALT.copy(site_properties={"magmom": [0.5, -1.0]})

    bare = read_one(tmp_path, [document()])
    labelled = read_one(tmp_path, [document(structure=magnetic.as_dict())])

    assert np.isnan(bare.frames.magmoms).all()
    assert labelled.frames.magmoms.tolist() == [0.5, -1.0]


def test_a_frame_without_original_id_is_its_own_material(tmp_path: Path) -> None:
    run = read_one(tmp_path, [document(provenance=None)])

    assert run.material_id == "matpes-7"


def test_a_stress_is_converted_from_the_unit_of_the_study(tmp_path: Path) -> None:
    run = read_one(tmp_path, [document()], stress_unit=StressUnit.GPA)

    assert run.frames.stresses[0, 0, 0] == 10


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"energy": 1.0}], "frame without a name: expected the key 'matpes_id'"),
        ([document(stress=[1.0])], r"frame matpes-7: expected stress as .* in .*json"),
        ({"a": {"matpes_id": "x"}}, "frame x: expected the key 'structure', got none"),
    ],
)
def test_another_layout_is_a_one_line_error(
    content: object, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=reason):
        read_one(tmp_path, content)


def test_an_invalid_file_is_a_one_line_error(tmp_path: Path) -> None:
    path = tmp_path / "matpes.json.gz"
    path.write_text("no gzip")

    with pytest.raises(InputError, match="expected JSON, got"):
        read(path)


def test_real_iron_has_its_published_moment(real_data: Path) -> None:
    """bcc Fe with r²SCAN: 2.757 μ_B per atom within VASP's spheres."""
    path = real_data / "elemental-references" / "MatPES-r2SCAN-Element-Refs.json.gz"
    with gzip.open(path) as file:
        iron = json.load(file)["Fe"]

    runs = {run.material_id: run.frames for run in read(path)}

    assert len(runs) == 89
    frame = runs["mp-13"]
    assert frame.functional == "r2SCAN"
    assert frame.atomic_numbers.tolist() == [26, 26]
    assert frame.energies / 2 == pytest.approx([iron["energy_per_atom"]])
    assert frame.magmoms.tolist() == pytest.approx([2.757, 2.757])
    np.testing.assert_allclose(frame.forces, iron["forces"], atol=1e-6)


def test_real_stresses_have_the_sign_and_size_of_the_model(real_data: Path) -> None:
    """Elements with more than 1 GPa in PBE."""
    path = real_data / "elemental-references" / "MatPES-PBE-Element-Refs.json.gz"
    frames = Frames.concatenate([run.frames for run in read(path)])
    pressed = np.abs(np.trace(frames.stresses, axis1=1, axis2=2)) > 3
    strained = frames[pressed & (frames.n_atoms <= 4)]

    predicted, _ = load_potential("chgnet-0.3.0", "cpu").predict_frames(strained, "es")

    ours = np.trace(strained.stresses, axis1=1, axis2=2)
    theirs = np.trace(predicted.stresses, axis1=1, axis2=2)
    assert len(strained) > 30
    assert np.corrcoef(ours, theirs)[0, 1] > 0.8
    assert np.polyfit(theirs, ours, 1)[0] == pytest.approx(0.8, abs=0.2)
