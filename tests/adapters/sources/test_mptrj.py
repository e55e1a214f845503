from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import units
from ase.db import connect
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung.adapters.sources.mptrj import read_mptrj
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.sources import (
    EnergyLabel,
    LastFrame,
    MptrjJsonSource,
    StressUnit,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.labels.trajectory import Trajectory

SALT = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3])


def frame(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A frame of MP-r2SCAN's layout."""
    return {
        "structure": SALT.as_dict(),
        "uncorrected_total_energy": -6.5,
        "energy_per_atom": -3.25,
        "force": [[0.1, 0, 0], [-0.1, 0, 0]],
        "stress": [[10.0, 0, 0], [0, 20.0, 5.0], [0, 5.0, 30.0]],
        "magmom": [0.25, -1.5],
        "bandgap": 5.0,
        "mp_id": "mp-1",
    } | changes


def read(
    folder: Path,
    materials: dict[str, Any],
    **settings: Any,  # noqa: ANN401
) -> list[Trajectory]:
    path = folder / "frames.json"
    path.write_text(json.dumps(materials))
    source = MptrjJsonSource(paths=(str(path),), **settings)
    return list(read_mptrj(source, lambda _done, _total, _text: None))


def test_a_frame_of_mp_r2scan_is_converted_to_the_units_of_the_package(
    tmp_path: Path,
) -> None:
    """Stress: 10 kBar of VASP are compression, -1 GPa."""
    (run,) = read(tmp_path, {"mp-1": {"mp-9-0-0": frame()}})

    frames = run.frames
    assert (run.material_id, frames.frame_ids.tolist()) == ("mp-1", ["mp-9-0-0"])
    assert (frames.functional, frames.energies.tolist()) == ("r2SCAN", [-6.5])
    np.testing.assert_allclose(frames.forces[1], [-0.1, 0, 0])
    np.testing.assert_allclose(
        frames.stresses[0], [[-1.0, 0, 0], [0, -2, -0.5], [0, -0.5, -3]], rtol=1e-6
    )
    assert frames.magmoms.tolist() == [0.25, -1.5]
    assert frames.to_structures()[0] == SALT
    assert np.isnan(run.relaxed_energy)


def test_missing_moments_are_nan(tmp_path: Path) -> None:
    (run,) = read(tmp_path, {"mp-1": {"mp-9-0-0": frame(magmom=None)}})

    assert np.isnan(run.frames.magmoms).all()


def test_frames_are_sorted_by_step_and_calculation_0_is_the_last(
    tmp_path: Path,
) -> None:
    names = ["t2-0-0", "t1-0-10", "t1-0-2", "t1-1-11", "t1-1-0"]

    runs = read(tmp_path, {"mp-1": {name: frame() for name in names}})

    assert [run.frames.frame_ids.tolist() for run in runs] == [
        ["t2-0-0"],
        ["t1-1-0", "t1-1-11", "t1-0-2", "t1-0-10"],
    ]


def test_frames_of_other_names_keep_their_order(tmp_path: Path) -> None:
    (run,) = read(tmp_path, {"mp-1": {"b": frame(), "a": frame()}})

    assert run.frames.frame_ids.tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("label", "energy", "relaxed"),
    [(EnergyLabel.UNCORRECTED, -6.5, -3.3), (EnergyLabel.CORRECTED, -7.5, -3.8)],
)
def test_the_relaxed_energy_is_corrected_as_the_label_is(
    label: EnergyLabel, energy: float, relaxed: float, tmp_path: Path
) -> None:
    """The correction is -1 eV for two atoms; e_per_atom_relaxed includes it."""
    document = frame(corrected_total_energy=-7.5, e_per_atom_relaxed=-3.8)

    (run,) = read(tmp_path, {"mp-1": {"mp-9-0-0": document}}, energy=label)

    assert run.frames.energies.tolist() == [energy]
    assert run.relaxed_energy == pytest.approx(relaxed)


def test_the_last_frame_is_relaxed_where_the_study_sets_it(tmp_path: Path) -> None:
    materials = {
        "mp-1": {
            "t-0-0": frame(),
            "t-0-1": frame(uncorrected_total_energy=-6.6, e_per_atom_relaxed=None),
        }
    }

    (run,) = read(tmp_path, materials, last_frame=LastFrame.RELAXED)

    assert run.relaxed_energy == pytest.approx(-3.3)


@pytest.mark.parametrize(
    ("document", "settings", "reason"),
    [
        ([1], {}, r"frame t-0-0: expected an object, got '\[1\]' in .*frames\.json"),
        ({}, {}, "frame t-0-0: expected the key 'structure', got none in"),
        (
            frame(),
            {"energy": EnergyLabel.CORRECTED},
            "frame t-0-0: expected the key 'corrected_total_energy', got none",
        ),
        (
            frame(e_per_atom_relaxed="low"),
            {},
            "expected a number as e_per_atom_relaxed, got 'low' in .*frames",
        ),
        (frame(force=1.0), {}, r"expected forces as .* \(2, 3\), got .1.0. in"),
    ],
)
def test_a_frame_of_another_layout_is_a_one_line_error(
    document: Any,  # noqa: ANN401
    settings: dict[str, Any],
    reason: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=reason):
        read(tmp_path, {"mp-1": {"t-0-0": document}}, **settings)


def test_progress_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "frames.json"
    path.write_text(json.dumps({"mp-1": {"t-0-0": frame()}}))
    told: list[tuple[int, int, str]] = []

    source = MptrjJsonSource(paths=(str(path), str(path)))
    list(read_mptrj(source, lambda *progress: told.append(progress)))

    assert told == [
        (0, 2, "frames.json: material 0"),
        (1, 2, "frames.json: material 0"),
    ]


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Trajectory]:
    """Eleven frames of MPtrj, with its keys, written back in its layout and units.

    The sample holds stresses in eV/Å³, tension positive.
    """
    materials: dict[str, dict[str, Any]] = {}
    path = real_data / "mptrj-sample" / "10_thin_mp_traj_systems.db"
    kept = ("corrected_total_energy", "energy_per_atom", "e_per_atom_relaxed", "mp_id")
    for row in connect(path).select():
        stress = -np.array(row.data["stress"]) / units.GPa * 10
        materials.setdefault(row.data["mp_id"], {})[row.data["uid"]] = frame(
            structure=AseAtomsAdaptor.get_structure(row.toatoms()).as_dict(),
            uncorrected_total_energy=row.energy,
            force=row.forces.tolist(),
            stress=stress.tolist(),
            magmom=None,
            **{key: row.data[key] for key in kept},
        )
    folder = tmp_path_factory.mktemp("mptrj")
    return read(folder, materials, functional="PBE", energy=EnergyLabel.CORRECTED)


def test_the_energy_of_a_real_relaxation_decreases(real: list[Trajectory]) -> None:
    """MPtrj lists mp-1020019 backwards; its energy falls from step 3 on.

    Labels of mp-1095441-1-16: -81.08401605 eV for 12 atoms.
    """
    steps = [3, 4, 5, 7, 8, 9, 11, 15, 16]
    _, relaxation = real

    names = [f"mp-1095441-1-{step}" for step in steps] + ["mp-1095441-0-1"]
    assert relaxation.frames.frame_ids.tolist() == names
    assert relaxation.frames.energies[8] == pytest.approx(-81.08401605)
    assert (np.diff(relaxation.frames.energies[1:9]) < 0).all()
    assert relaxation.relaxed_energy == pytest.approx(-6.750901945833333)


def test_real_labels_agree_with_the_model_trained_on_them(
    real: list[Trajectory],
) -> None:
    """The potential trained on MPtrj has stresses of the same sign and size."""
    frames = real[1].frames

    predicted, _ = load_potential("chgnet-0.3.0", "cpu").predict_frames(frames, "efs")

    errors = (predicted.energies - frames.energies) / frames.n_atoms
    assert np.abs(errors).max() < 0.1
    assert np.corrcoef(predicted.forces.ravel(), frames.forces.ravel())[0, 1] > 0.98
    slope = np.polyfit(predicted.stresses.ravel(), frames.stresses.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.2)


def test_a_stress_is_converted_from_the_unit_of_the_study(
    tmp_path: Path,
) -> None:
    materials = {"mp-1": {"t-0-0": frame()}}

    (run,) = read(tmp_path, materials, stress_unit=StressUnit.GPA)

    assert run.frames.stresses[0, 0, 0] == 10
