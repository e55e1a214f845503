from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.outliers import (
    find_derivative_outliers,
    find_energy_outliers,
    find_outliers,
)
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from numpy.typing import NDArray


def frames_of(names: list[str], species: list[list[str]]) -> Frames:
    """One frame per run, named ``run#0``, of cubic crystals."""
    structures = [
        Structure(
            Lattice.cubic(4), each, np.linspace(0, 0.5, len(each))[:, None] + [0] * 3
        )
        for each in species
    ]
    frames = Frames.from_structures(
        structures, [f"{name}#0" for name in names], functional="r2SCAN"
    )
    return replace(frames, material_ids=np.array(names))


@pytest.fixture
def frames() -> Frames:
    """Thirty crystals of three elements in all proportions."""
    counts = np.random.default_rng(0).integers(1, 4, (30, 3))
    species = [["Co"] * i + ["Mn"] * j + ["O"] * k for i, j, k in counts]
    return frames_of([f"run{index}" for index in range(30)], species)


def predict(frames: Frames, noise: float = 0.01) -> NDArray[np.float64]:
    """Energies that differ from the labels by a shift per element and some noise."""
    rng = np.random.default_rng(1)
    shifts = {27: 1.5, 25: -0.7, 8: 2.2}
    of_sites = np.array([shifts[number] for number in frames.atomic_numbers.tolist()])
    total = np.bincount(frames.frame_of_site, of_sites)
    labels: NDArray[np.float64] = frames.energies
    return labels - total + noise * frames.n_atoms * rng.normal(size=len(frames))


def test_labels_that_differ_by_shifts_are_no_outliers(frames: Frames) -> None:
    frames.energies[:] = -4.0 * frames.n_atoms
    assert find_energy_outliers(frames, predict(frames)) == []


@pytest.mark.parametrize("shift", [0.2, -0.2, 5.0])
def test_runs_on_another_scale_are_outliers(shift: float, frames: Frames) -> None:
    """Two of thirty, of which the worse one must not hide the other."""
    frames.energies[:] = -4.0 * frames.n_atoms
    predicted = predict(frames)
    frames.energies[4] += shift * frames.n_atoms[4]
    frames.energies[11] += 3 * shift * frames.n_atoms[11]

    found = find_energy_outliers(frames, predicted)

    assert {outlier.run_id for outlier in found} == {"run4", "run11"}
    assert {outlier.kind for outlier in found} == {"energy"}


def test_an_element_of_one_run_alone_cannot_be_checked() -> None:
    frames = frames_of(["a", "b", "c"], [["Co"], ["Co"], ["Mn"]])
    frames.energies[:] = [-4.0, -4.0, 100.0]

    assert find_energy_outliers(frames, np.array([-4.0, -4.0, -4.0])) == []


def test_frames_that_cannot_be_predicted_are_left_out(frames: Frames) -> None:
    frames.energies[:] = -4.0 * frames.n_atoms
    predicted = predict(frames)
    predicted[3] = np.nan
    frames.energies[3] = 1e6

    assert find_energy_outliers(frames, predicted) == []


def test_few_runs_do_not_tell_an_outlier() -> None:
    """Seven runs of three elements, one of them an O2 molecule far off."""
    species = [["Co"], ["Mn"], ["O", "O"], ["Co", "O"], ["Mn", "O"], ["Co"], ["Mn"]]
    frames = frames_of([f"run{index}" for index in range(7)], species)
    frames.energies[:] = -4.0 * frames.n_atoms
    predicted = frames.energies.copy()
    predicted[2] += 1.0

    assert find_energy_outliers(frames, predicted) == []


@pytest.mark.parametrize(
    ("kind", "factor", "cause"),
    [
        ("forces", -1.0, "the opposite sign"),
        ("forces", 51.4, "hartree/bohr"),
        ("stress", -10.0, "VASP's kBar"),
        ("stress", 160.2, "GPa in place of eV/Å³"),
        ("stress", -1.0, "the opposite sign"),
    ],
)
def test_wrong_units_and_signs_are_named(
    kind: str, factor: float, cause: str, frames: Frames
) -> None:
    rng = np.random.default_rng(2)
    forces = rng.normal(size=frames.forces.shape).astype(np.float32)
    stresses = 3 * rng.normal(size=frames.stresses.shape).astype(np.float32)
    predicted = replace(frames, forces=forces, stresses=stresses)
    labels = replace(frames, forces=1.2 * forces, stresses=0.8 * stresses)
    assert find_derivative_outliers(labels, predicted) == []
    if kind == "forces":
        labels.forces[frames.frame_of_site == 7] *= factor
    else:
        labels.stresses[7] *= factor

    (outlier,) = find_derivative_outliers(labels, predicted)

    assert (outlier.run_id, outlier.kind) == ("run7", kind)
    assert cause in outlier.reason


@pytest.fixture
def trajectories() -> Frames:
    """Two frames of each of thirty runs of cobalt oxides."""
    counts = np.random.default_rng(0).integers(1, 4, (30, 2))
    species = [["Co"] * i + ["O"] * j for i, j in counts for _ in range(2)]
    made = frames_of([f"run-{index // 2}" for index in range(60)], species)
    rng = np.random.default_rng(1)
    return replace(
        made,
        energies=-5.0 * made.n_atoms + rng.normal(0, 0.01, 60),
        forces=rng.normal(size=made.forces.shape).astype(np.float32),
        stresses=rng.normal(size=made.stresses.shape).astype(np.float32),
    )


def test_runs_on_one_scale_are_no_outliers(trajectories: Frames) -> None:
    shifted = trajectories.energies + 2.0 * trajectories.n_atoms

    assert find_outliers(trajectories, replace(trajectories, energies=shifted)) == (
        [],
        30,
    )


def test_runs_of_another_scale_or_unit_are_outliers(trajectories: Frames) -> None:
    energies = trajectories.energies.copy()
    energies[8:10] += 0.7 * trajectories.n_atoms[8:10]
    stresses = trajectories.stresses.copy()
    stresses[20:22] *= -10
    labels = replace(trajectories, energies=energies, stresses=stresses)

    outliers, _ = find_outliers(labels, trajectories)

    assert [(o.run_id, o.kind) for o in outliers] == [
        ("run-4", "energy"),
        ("run-10", "stress"),
    ]
