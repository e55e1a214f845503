from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write

from nextrung.adapters.sources.ase import read_ase
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import AseSource, LastFrame, StressUnit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: ASE's order: xx, yy, zz, yz, xz, xy.
VOIGT = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
MATRIX = [[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]


def salt(**info: Any) -> Atoms:  # noqa: ANN401
    """CsCl with energy, forces and stress in a calculator, moments in an array."""
    atoms = Atoms(
        "CsCl", scaled_positions=[[0, 0, 0], [0.5] * 3], cell=[4] * 3, pbc=True
    )
    atoms.info = {"material_id": "mp-1", "frame_id": "mp-1-0"} | info
    atoms.calc = SinglePointCalculator(
        atoms, energy=-6.5, forces=[[0.1, 0, 0], [-0.1, 0, 0]], stress=VOIGT
    )
    atoms.set_array("magmoms", np.array([0.5, -0.5]))
    return atoms


def source_of(path: Path, **settings: Any) -> AseSource:  # noqa: ANN401
    return AseSource(paths=(str(path),), functional="PBE", **settings)


def read(source: AseSource) -> Frames:
    runs = read_ase(source, lambda _done, _total, _text: None)
    return Frames.concatenate([run.frames for run in runs])


def test_labels_are_read_from_calculator_info_and_arrays(tmp_path: Path) -> None:
    """1 eV/Å³ is 160.21766 GPa."""
    write(tmp_path / "frames.xyz", salt(), format="extxyz")

    frames = read(source_of(tmp_path / "frames.xyz"))

    assert frames.material_ids.tolist() == ["mp-1"]
    assert frames.frame_ids.tolist() == ["mp-1-0"]
    assert frames.energies.tolist() == [-6.5]
    assert frames.functional == "PBE"
    np.testing.assert_allclose(frames.forces, [[0.1, 0, 0], [-0.1, 0, 0]])
    np.testing.assert_allclose(frames.magmoms, [0.5, -0.5])
    np.testing.assert_allclose(frames.stresses[0], 160.21766 * np.array(MATRIX), 1e-6)
    np.testing.assert_allclose(
        frames.frac_coords, np.outer([0, 0.5], np.ones(3)), atol=1e-8
    )


def test_labels_are_read_from_databases(tmp_path: Path) -> None:
    path = tmp_path / "frames.db"
    with connect(path) as database:
        database.write(salt(), material_id="mp-2", data={"frame_id": "mp-2-7"})

    frames = read(source_of(path, magmoms_key="none"))

    assert frames.frame_ids.tolist() == ["mp-2-7"]
    assert frames.material_ids.tolist() == ["mp-2"]
    assert frames.energies.tolist() == [-6.5]
    np.testing.assert_allclose(frames.stresses[0], 160.21766 * np.array(MATRIX), 1e-6)
    assert np.isnan(frames.magmoms).all()


@pytest.mark.parametrize(
    ("unit", "factor"), [(StressUnit.GPA, 1.0), (StressUnit.VASP_KBAR, -0.1)]
)
@pytest.mark.parametrize("layout", [VOIGT, np.ravel(MATRIX)], ids=["voigt", "nine"])
def test_stresses_of_other_units_are_converted(
    unit: StressUnit, factor: float, layout: Sequence[float], tmp_path: Path
) -> None:
    write(tmp_path / "frames.xyz", salt(pressure=layout), format="extxyz")

    source = source_of(tmp_path / "frames.xyz", stress_key="pressure", stress_unit=unit)

    np.testing.assert_allclose(read(source).stresses[0], factor * np.array(MATRIX))


def test_missing_labels_are_nan(tmp_path: Path) -> None:
    bare = salt()
    bare.calc = None
    del bare.arrays["magmoms"]
    write(tmp_path / "frames.xyz", bare, format="extxyz")

    frames = read(source_of(tmp_path / "frames.xyz"))

    for labels in (frames.energies, frames.forces, frames.stresses, frames.magmoms):
        assert np.isnan(labels).all()


def test_frames_of_a_material_are_one_run(tmp_path: Path) -> None:
    names = [("a", 0), ("a", 1), ("b", 0)]
    images = [salt(material_id=m, frame_id=f"{m}{f}") for m, f in names]
    write(tmp_path / "frames.xyz", images, format="extxyz")

    runs = list(
        read_ase(source_of(tmp_path / "frames.xyz"), lambda _done, _total, _text: None)
    )

    assert [run.material_id for run in runs] == ["a", "b"]
    assert [len(run.frames) for run in runs] == [2, 1]
    assert all(run.converged.all() for run in runs)


@pytest.mark.parametrize(
    ("last_frame", "expected"), [(LastFrame.ANY, np.nan), (LastFrame.RELAXED, -3.25)]
)
def test_the_last_frame_is_relaxed_only_where_the_study_sets_it(
    last_frame: LastFrame, expected: float, tmp_path: Path
) -> None:
    """-6.5 eV for two atoms."""
    write(tmp_path / "frames.xyz", salt(), format="extxyz")
    source = source_of(tmp_path / "frames.xyz", last_frame=last_frame)

    (run,) = read_ase(source, lambda _done, _total, _text: None)

    assert run.relaxed_energy == pytest.approx(expected, nan_ok=True)


def test_frames_without_names_are_numbered(tmp_path: Path) -> None:
    write(tmp_path / "frames.xyz", [salt(), salt()], format="extxyz")

    frames = read(
        source_of(tmp_path / "frames.xyz", material_id_key=None, frame_id_key=None)
    )

    assert frames.material_ids.tolist() == ["frames.xyz#0", "frames.xyz#1"]
    assert frames.frame_ids.tolist() == ["frames.xyz#0", "frames.xyz#1"]


def test_a_plain_file_is_read_by_number_and_formula(tmp_path: Path) -> None:
    """Files of other programs have neither key; a trajectory stays one material."""
    images = [salt(), salt(), salt()]
    for image in images:
        del image.info["material_id"], image.info["frame_id"]
    images[2].symbols[0] = "K"
    write(tmp_path / "plain.xyz", images, format="extxyz")

    with pytest.warns(UserWarning, match="no frame_id and no material_id: frames are"):
        frames = read(source_of(tmp_path / "plain.xyz"))

    assert frames.frame_ids.tolist() == ["plain.xyz#0", "plain.xyz#1", "plain.xyz#2"]
    assert len(set(frames.material_ids[:2].tolist())) == 1
    assert frames.material_ids[2] != frames.material_ids[0]


def test_a_missing_name_is_rejected(tmp_path: Path) -> None:
    write(tmp_path / "frames.xyz", salt(), format="extxyz")

    with pytest.raises(InputError, match=r"the key 'mp_id', got none in frames.xyz#0"):
        read(source_of(tmp_path / "frames.xyz", material_id_key="mp_id"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("energy_key", np.nan),
        ("forces_key", [[np.nan] * 3] * 2),
        ("stress_key", [np.inf] * 6),
    ],
)
def test_a_label_that_is_not_a_number_is_rejected(
    key: str,
    value: list[object] | float,
    tmp_path: Path,
) -> None:
    atoms = salt()
    if key == "forces_key":
        atoms.set_array("label", np.array(value))
    else:
        atoms.info["label"] = value
    write(tmp_path / "frames.xyz", atoms, format="extxyz")

    with pytest.raises(InputError, match="frame mp-1-0: expected numbers in label"):
        read(source_of(tmp_path / "frames.xyz", **{key: "label"}))


def test_a_label_of_another_shape_is_rejected(tmp_path: Path) -> None:
    write(tmp_path / "frames.xyz", salt(pressure=[1.0, 2.0]), format="extxyz")

    with pytest.raises(InputError, match=r"pressure of shape \(3, 3\), got \(2,\)"):
        read(source_of(tmp_path / "frames.xyz", stress_key="pressure"))


def test_partial_occupancy_is_rejected(tmp_path: Path) -> None:
    write(tmp_path / "frames.xyz", salt(occupancy="0.5"), format="extxyz")

    with pytest.raises(InputError, match=r"frame mp-1-0: .* partial occupancy"):
        read(source_of(tmp_path / "frames.xyz"))


def test_a_molecule_is_rejected(tmp_path: Path) -> None:
    atoms = salt()
    atoms.pbc = [True, True, False]
    write(tmp_path / "frames.xyz", atoms, format="extxyz")

    with pytest.raises(InputError, match="mp-1-0: expected a crystal, got a cell"):
        read(source_of(tmp_path / "frames.xyz"))


@pytest.mark.parametrize("name", ["frames.xyz", "frames.db"])
def test_an_invalid_file_is_rejected(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("no atoms here")

    with pytest.raises(InputError, match=r"expected a file that ASE reads, got \w+ in"):
        read(source_of(tmp_path / name))


def test_a_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a file that ASE reads, got a folder"):
        read(source_of(tmp_path))


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file or folder, got none at"):
        read(source_of(tmp_path / "none.xyz"))


def test_real_stresses_agree_with_the_model_trained_on_them(real_data: Path) -> None:
    """MPtrj frames against the potential trained on MPtrj: same sign, same size."""
    source = source_of(
        real_data / "mptrj-sample" / "mptrj-random-1k.xyz",
        material_id_key="mptrj_traj_id",
        frame_id_key="mptrj_snapshot_id",
    )
    runs = read_ase(source, lambda _done, _total, _text: None)
    frames = Frames.concatenate([run.frames for run in islice(runs, 40)])

    predicted, _ = load_potential("chgnet-0.3.0", "cpu").predict_frames(frames, "es")

    ours, theirs = frames.stresses.ravel(), predicted.stresses.ravel()
    assert np.corrcoef(ours, theirs)[0, 1] > 0.95
    assert np.polyfit(theirs, ours, 1)[0] == pytest.approx(1, abs=0.2)
