"""One real frame of every layout, compared with values copied from its file."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import units

from nextrung.adapters.sources.registry import read_labels
from nextrung.potentials.registry import load_potential
from nextrung.schemas.labels.sources import (
    AseSource,
    MatpesSource,
    TaskDocumentsSource,
    TaskType,
    VaspSource,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.sources import Source

DATA = "$NEXTRUNG_DATA"
SI = f"{DATA}/mp-task-documents/r2scan_Si_relax"
PBE_ELEMENTS = f"{DATA}/elemental-references/MatPES-PBE-Element-Refs.json.gz"
PHOSPHATE = f"{DATA}/mp-task-documents/mp-1201400_task_doc.json.gz"


def read_extxyz(name: str) -> AseSource:
    """Read a file with the keys of mattersim."""
    return AseSource(
        paths=(f"{DATA}/mptrj-sample/{name}.xyz",),
        functional="PBE",
        material_id_key="mptrj_traj_id",
        frame_id_key="mptrj_snapshot_id",
    )


@dataclass(frozen=True)
class Sample:
    """A frame to read, and the values in its file.

    Parameters
    ----------
    source : Source
        The file.
    names : tuple of str
        Material, frame and functional.
    energy : float
        Total energy in eV.
    force : sequence of float
        Force on the second atom in eV/Å.
    stress : sequence of float
        xx, yy and zz in the unit of the file.
    unit : float
        GPa, compression negative, per unit of the file.
    magmom : float, optional
        Moment of the first site in μ_B.
    """

    source: Source
    names: tuple[str, str, str]
    energy: float
    force: Sequence[float]
    stress: Sequence[float]
    unit: float
    magmom: float = field(default=float("nan"))


SAMPLES: Mapping[str, Sample] = {
    "OUTCAR": Sample(
        source=VaspSource(paths=(f"{DATA}/r2scan-tm-oxides/R2SCAN/Co_oxides/coo2_r4",)),
        names=("coo2_r4", "coo2_r4#0", "r2SCAN"),
        energy=-84.32830510,
        force=(-0.000008, 0.000006, -0.003461),
        stress=(-0.41476, -0.38469, -0.62088),
        unit=-0.1,
        magmom=0.709,
    ),
    "vasprun.xml": Sample(
        source=VaspSource(paths=(SI,)),
        names=("r2scan_Si_relax", "r2scan_Si_relax#0", "r2SCAN"),
        energy=-17.54951927,
        force=(0.0, 0.0, 0.0),
        stress=(2.31520, 2.31520, 2.31520),
        unit=-0.1,
        magmom=0.0,
    ),
    "task document": Sample(
        source=TaskDocumentsSource(paths=(PHOSPHATE,)),
        names=("mp-1201400", "mp-1201400-1#0", "PBE"),
        energy=-1387.34122406,
        force=(-0.19151257, 0.23996495, 0.05402288),
        stress=(-165.0272, -179.15476, -162.87546),
        unit=-0.1,
    ),
    "MatPES": Sample(
        source=MatpesSource(paths=(PBE_ELEMENTS,)),
        names=("mp-989737", "mp-989737", "PBE"),
        energy=-8.13797698,
        force=(0.0, 0.0, -0.00107312),
        stress=(-8.12938094, -8.12938566, -7.50012666),
        unit=-0.1,
        magmom=0.0,
    ),
    "extxyz": Sample(
        source=read_extxyz("mptrj-highest-stress-1k"),
        names=("mp-1178357", "mp-1768415-0-0", "PBE"),
        energy=-243.04360191,
        force=(-0.11075728, -0.92199406, -0.66644509),
        stress=(-10.92621792894408, -11.339163317343047, -11.082192360330565),
        unit=160.21766,
    ),
}


@pytest.fixture
def data(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTRUNG_DATA", str(real_data))


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("layout", SAMPLES)
def test_a_real_frame_has_the_values_of_its_file(layout: str) -> None:
    sample = SAMPLES[layout]
    frames = read_labels(sample.source).frames
    frame = frames[frames.frame_ids == sample.names[1]]

    assert (frame.material_ids[0], frame.frame_ids[0], frame.functional) == sample.names
    assert frame.energies[0] == sample.energy
    np.testing.assert_allclose(frame.forces[1], sample.force, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        np.diag(frame.stresses[0]), sample.unit * np.array(sample.stress), rtol=1e-6
    )
    np.testing.assert_allclose(frame.magmoms[0], sample.magmom, atol=1e-3)


def derive_mean_stresses(frames: Frames, model: str) -> NDArray[np.float64]:
    """Differentiate energies by the volume; in GPa, compression negative."""
    potential = load_potential(model, "cpu")
    sides = []
    for scale in (0.995, 1.005):
        scaled = replace(frames, lattices=frames.lattices * scale)
        energies = potential.predict_frames(scaled, "e")[0].energies
        sides.append((energies, np.abs(np.linalg.det(scaled.lattices))))
    (below, smaller), (above, larger) = sides
    slopes: NDArray[np.float64] = (above - below) / (larger - smaller) / units.GPa
    return slopes


def choose(frames: Frames, *, least: float, most: float) -> Frames:
    """Select a dozen small frames of large but physical mean stress in GPa."""
    means = np.abs(np.trace(frames.stresses, axis1=1, axis2=2)) / 3
    strained = np.flatnonzero((means > least) & (means < most))
    order = np.argsort(frames.n_atoms[strained], kind="stable")
    return frames[strained[order][:12]]


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("source", "least"),
    [
        (read_extxyz("mptrj-random-1k"), 5.0),
        (read_extxyz("mptrj-highest-stress-1k"), 20.0),
        (MatpesSource(paths=(PBE_ELEMENTS,)), 4.0),
        (
            TaskDocumentsSource(
                paths=(PHOSPHATE,), task_types=(TaskType.STRUCTURE_OPTIMIZATION,)
            ),
            5.0,
        ),
    ],
    ids=["random extxyz", "strained extxyz", "MatPES", "task document"],
)
def test_energies_change_with_volume_as_the_stress_of_real_frames(
    source: Source, least: float
) -> None:
    """Energies of a model do not depend on the unit and sign of labelled stresses."""
    frames = choose(read_labels(source)[0], least=least, most=80.0)
    means = np.trace(frames.stresses, axis1=1, axis2=2) / 3

    slopes = derive_mean_stresses(frames, "chgnet-0.3.0")

    assert len(frames) >= 2
    agree = np.sign(slopes) == np.sign(means)
    assert agree.mean() > 0.9
    assert np.median(slopes / means) == pytest.approx(1, abs=0.35)


@pytest.fixture
def lutetium(real_data: Path, tmp_path: Path) -> Mapping[str, Path]:
    """A relaxation of Lu3 by VASP 6.1, with one folder per output file."""
    packed = real_data / "mp-task-documents" / "r2scan_relax.json.gz"
    with gzip.open(packed) as file:
        files = json.load(file)
    folders = {}
    for name in ("OUTCAR.gz", "vasprun.xml.gz"):
        folders[name] = tmp_path / name.partition(".")[0] / "Lu"
        folders[name].mkdir(parents=True)
        (folders[name] / name).write_bytes(bytes.fromhex(files[name]["0"]))
    return folders


def test_two_files_of_one_run_agree(lutetium: Mapping[str, Path]) -> None:
    """-114.16246056 eV; 45.73555 kBar of VASP are compression."""
    outcar, vasprun = (
        read_labels(VaspSource(paths=(str(folder),)))[0] for folder in lutetium.values()
    )

    assert (len(outcar), outcar.functional) == (6, "r2SCAN")
    assert outcar.functional == vasprun.functional
    assert outcar.energies[0] == -114.16246056
    np.testing.assert_allclose(
        np.diag(outcar.stresses[0]), [-4.573555, -3.331087, -3.349172], rtol=1e-6
    )
    np.testing.assert_allclose(outcar.forces[1], [-0.054528, 0, -0.006579], atol=1e-7)
    np.testing.assert_allclose(outcar.magmoms[:3], [0.292, 0.377, 0.377])
    np.testing.assert_allclose(vasprun.energies, outcar.energies, atol=1e-7)
    np.testing.assert_allclose(vasprun.forces, outcar.forces, atol=1e-6)
    np.testing.assert_allclose(vasprun.stresses, outcar.stresses, atol=1e-6)
    np.testing.assert_allclose(vasprun.lattices, outcar.lattices, atol=1e-6)
    np.testing.assert_allclose(
        vasprun.frac_coords % 1, outcar.frac_coords % 1, atol=1e-5
    )


def test_compressed_lutetium_has_negative_stress(lutetium: Mapping[str, Path]) -> None:
    frames = read_labels(VaspSource(paths=(str(lutetium["OUTCAR.gz"]),))).frames

    slopes = derive_mean_stresses(frames[:1], "chgnet-r2scan")

    assert slopes[0] == pytest.approx(np.trace(frames.stresses[0]) / 3, rel=0.5)
