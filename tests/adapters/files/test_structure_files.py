from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import units
from ase.io import read
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser

from nextrung.adapters.files.structure_files import (
    write_cif,
    write_predictions,
    write_relaxed_extxyz,
)
from nextrung.adapters.sources.registry import read_labels
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import AseSource
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus

if TYPE_CHECKING:
    from pathlib import Path

SALT = Structure(Lattice.cubic(3.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
IRON = Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]])


@pytest.fixture
def frames() -> Frames:
    """Two labelled frames; the second has no magnetic moment."""
    rng = np.random.default_rng(0)
    stresses = rng.normal(size=(2, 3, 3))
    return replace(
        Frames.from_structures([SALT, IRON], ["salt", "iron"], functional="r2SCAN"),
        splits=np.array(["train", ""]),
        energies=np.array([-6.5, -8.0]),
        forces=rng.normal(size=(3, 3)).astype(np.float32),
        stresses=(stresses + stresses.swapaxes(1, 2)).astype(np.float32),
        magmoms=np.array([0.1, 0.2, np.nan], dtype=np.float32),
    )


def test_labels_beside_predictions_are_read_as_they_were(
    frames: Frames, tmp_path: Path
) -> None:
    path = tmp_path / "frames.extxyz"
    predicted = replace(frames, energies=frames.energies + 1)

    write_predictions(path, frames, predicted=predicted, errors={})

    back = read_labels(AseSource(paths=(str(path),), functional="r2SCAN")).frames
    assert back.frame_ids.tolist() == ["salt", "iron"]
    for name in ("energies", "forces", "stresses", "magmoms", "lattices"):
        expected = getattr(frames, name)
        np.testing.assert_allclose(getattr(back, name), expected, atol=1e-6)


def test_predictions_have_the_units_of_ase(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "frames.extxyz"

    write_predictions(path, frames, predicted=frames, errors={})

    first, second = read(path, index=":")
    assert first.info["predicted_energy"] == -6.5
    assert first.info["split"] == "train"
    stress = first.info["predicted_stress"]
    assert stress[5] == pytest.approx(frames.stresses[0, 0, 1] * units.GPa, rel=1e-5)
    np.testing.assert_allclose(
        first.arrays["predicted_forces"], frames.forces[:2], atol=1e-6
    )
    assert "predicted_magmoms" not in second.arrays


def test_a_frame_without_a_prediction_has_its_reason(
    frames: Frames, tmp_path: Path
) -> None:
    path = tmp_path / "frames.extxyz"
    failed = replace(frames, energies=np.array([np.nan, -8.0]))

    write_predictions(path, frames, predicted=failed, errors={0: "no reference of Na"})

    first, _ = read(path, index=":")
    assert first.info["error"] == "no reference of Na"
    assert "predicted_energy" not in first.info
    assert first.get_potential_energy() == -6.5


def relaxed(structure: Structure | None, energy: float | None) -> RelaxationRecord:
    return RelaxationRecord(
        status=RelaxationStatus.CONVERGED, energy=energy, structure=structure, n_steps=3
    )


def test_relaxed_structures_have_names_and_energies(tmp_path: Path) -> None:
    path = tmp_path / "relaxed.extxyz"
    records = {"salt": relaxed(SALT, -6.5), "gone": relaxed(None, None)}

    write_relaxed_extxyz(path, records)

    (atoms,) = read(path, index=":")
    assert atoms.info["material_id"] == "salt"
    assert (atoms.info["status"], atoms.info["n_steps"]) == ("converged", 3)
    assert atoms.get_potential_energy() == -6.5
    np.testing.assert_allclose(atoms.cell.array, SALT.lattice.matrix)


def test_one_cif_has_a_data_block_per_structure(tmp_path: Path) -> None:
    write_cif(tmp_path / "all.cif", {"salt.cif": SALT, "b/iron.cif": IRON})

    # pymatgen compares all blocks with the formula of the first
    parser = CifParser(tmp_path / "all.cif", check_cif=False)
    salt, iron = parser.parse_structures(primitive=False)
    assert salt.matches(SALT)
    assert iron.matches(IRON)
    text = (tmp_path / "all.cif").read_text()
    assert "data_salt\n" in text
    assert "data_b_iron\n" in text


def test_a_folder_has_a_cif_per_structure(tmp_path: Path) -> None:
    write_cif(tmp_path / "all", {"a.b.cif": SALT, "a b": IRON, "a/b": SALT})

    names = {file.name for file in (tmp_path / "all").iterdir()}
    assert names == {"a.b.cif", "a_b_2.cif", "a_b_3.cif"}
    assert Structure.from_file(tmp_path / "all" / "a_b_2.cif").matches(IRON)
