"""The script that makes the data set of GPAW labels."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from tests.adapters.sources.test_gpaw_documents import make_document

from nextrung.adapters.files.frames import read_frames, read_metadata
from nextrung.schemas.labels.gpaw import GpawSettings

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = Path(__file__).parents[1] / "workflows" / "gpaw_labels"


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "make", raising=False)
    return import_module("make")


def write(path: Path, *documents: dict[str, Any]) -> Path:
    path.write_text(json.dumps(documents))
    return path


def test_prototypes_give_three_systems_with_elements_and_ternaries(
    make: ModuleType,
) -> None:
    listed = list(make.list_crystals())
    crystals = dict(listed)

    assert len(crystals) == len(listed) > 100
    systems = {each.chemical_system for each in crystals.values()}
    assert {"Al-Li-Si", "Ge-Li-Te", "As-Li-Se", "Li-Te", "Li"} <= systems
    assert max(map(len, crystals.values())) == 4
    for element in ("As", "Se", "Te"):
        ground = make.build_ground_state(element)
        nearest = min(ground.get_neighbors(ground[0], 3.0), key=lambda n: n.nn_distance)
        assert 2.3 < nearest.nn_distance < 2.9


def test_frames_are_relaxed_strained_and_displaced(
    make: ModuleType, tmp_path: Path
) -> None:
    run = write(
        tmp_path / "relaxed.json",
        make_document("a", (-10.0, -10.4), relaxed=True),
        make_document("b", (-10.0, -10.2), relaxed=False),
    )

    make.make_frames(run, tmp_path)

    stages = ("1_relaxed", "2_strained", "3_displaced")
    frames = [read_frames(tmp_path / f"{stage}.parquet") for stage in stages]
    assert [each.frame_ids.tolist() for each in frames] == [["a#0"], ["a#1"], ["a#2"]]
    assert {name for each in frames for name in each.material_ids} == {"a"}
    volumes = [abs(np.linalg.det(each.lattices[0])) for each in frames]
    assert volumes[1] / volumes[0] == pytest.approx(make.VOLUMES[0])
    assert not np.allclose(frames[2].frac_coords, frames[0].frac_coords, atol=1e-3)


def test_only_frames_that_both_functionals_have_labelled_are_packed(
    make: ModuleType, tmp_path: Path
) -> None:
    names = "a#0", "a#1", "b#0"
    r2scan = {"functional": "r2SCAN"}
    pbe = write(tmp_path / "pbe.json", *(make_document(name) for name in names))
    failed = make_document("b#0", settings=r2scan)
    failed["output"] |= {"error": "no convergence", "calculation": None}
    found = [make_document(name, (-16.0,), settings=r2scan) for name in names[:2]]
    other = write(tmp_path / "r2scan.json", *found, failed)

    make.pack(pbe, other, tmp_path / "labels.parquet")

    packed = [
        read_frames(tmp_path / f"labels-{key}.parquet") for key in ("pbe", "r2scan")
    ]
    assert [each.functional for each in packed] == ["PBE", "r2SCAN"]
    assert packed[0].frame_ids.tolist() == packed[1].frame_ids.tolist()
    assert packed[0].frame_ids.tolist() == ["a#1#0", "a#0#0"]
    metadata = read_metadata(tmp_path / "labels-pbe.parquet")
    assert metadata["identity"]["code"] == "GPAW"
    assert metadata["identity"]["potentials"] == {"Si": "Si.PBE"}
    assert set(metadata["provenance"]["runs"]) == {"PBE", "r2SCAN"}


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_displaced_crystals_keep_symmetries_of_their_direction(
    make: ModuleType,
) -> None:
    rock_salt = dict(make.list_crystals())["Li-Te-rocksalt"]
    rock_salt.scale_lattice(40.0)
    rng = np.random.default_rng(0)

    for direction, point_group in zip(
        make.DIRECTIONS, ("3m", "4mm", "mm2"), strict=True
    ):
        axis = np.array(direction) / np.linalg.norm(direction)
        moved = make.displace(rock_salt, axis, rng)

        analyzer = SpacegroupAnalyzer(moved, 1e-6)
        assert analyzer.get_point_group_symbol() == point_group
        assert not np.allclose(moved.lattice.matrix, rock_salt.lattice.matrix)


def test_relaxations_have_the_settings_of_the_single_points() -> None:
    single, relaxation = (
        GpawSettings.model_validate(yaml.safe_load((FOLDER / name).read_text()))
        for name in ("single_point.yaml", "relaxation.yaml")
    )
    assert single.relaxation is None
    assert relaxation.model_copy(update={"relaxation": None}) == single
