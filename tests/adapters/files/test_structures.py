from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.frames import write_frames
from nextrung.adapters.files.structures import (
    load_structure,
    read_material_ids,
    read_structures,
    store_structure,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def iron(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Structure:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path / "run"))
    structure = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5] * 3])
    return structure.add_site_property("magmom", [2.2, 2.1])


def test_a_stored_structure_keeps_its_magnetic_moments(iron: Structure) -> None:
    kept = load_structure(store_structure(iron))
    assert kept == iron
    assert kept.site_properties == {"magmom": [2.2, 2.1]}


def test_equal_structures_share_a_file(iron: Structure) -> None:
    assert store_structure(iron) == store_structure(iron.copy())
    assert store_structure(iron) != store_structure(iron.copy().scale_lattice(24))


def test_structures_are_read_from_structure_and_frames_files(
    iron: Structure, tmp_path: Path
) -> None:
    iron.to(str(tmp_path / "Fe.cif"))
    write_frames(Frames.from_structures([iron], ["a"]), tmp_path / "frames.parquet")

    read = read_structures([tmp_path / "Fe.cif", tmp_path / "frames.parquet"])

    assert list(read) == ["Fe", "a"]
    assert all(structure.matches(iron) for structure in read.values())


def test_frames_files_name_the_material_of_every_frame(
    iron: Structure, tmp_path: Path
) -> None:
    iron.to(str(tmp_path / "Fe.cif"))
    frames = Frames.from_structures([iron, iron], ["a#0", "a#1"])
    frames = replace(frames, material_ids=np.array(["a", "a"]))
    write_frames(frames, tmp_path / "frames.parquet")

    read = read_material_ids([tmp_path / "Fe.cif", tmp_path / "frames.parquet"])

    assert read == {"a#0": "a", "a#1": "a"}


def test_a_repeated_name_is_rejected(iron: Structure, tmp_path: Path) -> None:
    iron.to(str(tmp_path / "Fe.cif"))
    iron.to(str(tmp_path / "Fe.vasp"), fmt="poscar")
    with pytest.raises(InputError, match=r"unique names, got 'Fe' again in .*Fe\.vasp"):
        read_structures([tmp_path / "Fe.cif", tmp_path / "Fe.vasp"])


@pytest.mark.parametrize("name", ["nothing.cif", "garbled.cif"])
def test_a_file_without_structure_is_a_one_line_error(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "garbled.cif").write_text("no crystal")
    with pytest.raises(InputError, match=f"expected a structure in .*{name}, got: "):
        read_structures([tmp_path / name])
