from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nextrung.adapters.sources.vasp.run import IonicStep, VaspRun


@pytest.fixture
def step() -> IonicStep:
    return IonicStep(
        lattice=4 * np.eye(3),
        frac_coords=np.zeros((1, 3)),
        energy=-2.0,
        forces=np.ones((1, 3)),
        stress=np.diag([10.0, 20.0, 30.0]),
        magmoms=np.array([-1.5]),
        n_electronic_steps=5,
    )


def run_of(*steps: IonicStep) -> VaspRun:
    return VaspRun(
        atomic_numbers=[26],
        functional="r2SCAN",
        hubbard_us={"Na": 1.0, "Cl": 0.0},
        plane_wave_cutoff=680.0,
        max_electronic_steps=6,
        steps=steps,
    )


def test_stress_becomes_gigapascal_with_compression_negative(step: IonicStep) -> None:
    """10 kBar of VASP, which counts compression positive, are -1 GPa."""
    frames = run_of(step).to_trajectory("Fe", "Fe").frames

    np.testing.assert_allclose(frames.stresses[0], np.diag([-1, -2, -3]))


def test_frames_are_named_by_run_and_step(step: IonicStep) -> None:
    frames = run_of(step, step).to_trajectory("Fe", "Fe/relax2").frames

    assert frames.material_ids.tolist() == ["Fe", "Fe"]
    assert frames.frame_ids.tolist() == ["Fe/relax2#0", "Fe/relax2#1"]
    assert frames.offsets.tolist() == [0, 1, 2]
    assert frames.functional == "r2SCAN"


def test_labels_are_not_changed(step: IonicStep) -> None:
    frames = run_of(step).to_trajectory("Fe", "Fe").frames

    assert frames.energies.tolist() == [-2]
    assert frames.magmoms.tolist() == [-1.5]
    np.testing.assert_array_equal(frames.forces, [[1, 1, 1]])


def test_the_relaxed_energy_is_that_of_the_last_step(step: IonicStep) -> None:
    trajectory = run_of(step, replace(step, energy=-3.0)).to_trajectory("Fe", "Fe")

    assert trajectory.relaxed_energy == -3.0


def test_missing_labels_are_nan(step: IonicStep) -> None:
    bare = replace(step, forces=None, stress=None, magmoms=None)

    frames = run_of(step, bare).to_trajectory("Fe", "Fe").frames

    for labels in (frames.forces, frames.stresses, frames.magmoms):
        assert np.isfinite(labels[0]).all()
        assert np.isnan(labels[1]).all()


def test_a_step_with_nelm_electronic_steps_is_not_converged(
    step: IonicStep,
) -> None:
    trajectory = run_of(step, replace(step, n_electronic_steps=6)).to_trajectory("", "")

    assert trajectory.converged.tolist() == [True, False]
    assert np.isnan(trajectory.relaxed_energy)
    assert trajectory.hubbard_u == 1.0
    assert trajectory.hubbard_us == {"Na": 1.0}
    assert trajectory.plane_wave_cutoff == 680.0
