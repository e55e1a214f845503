from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.units import GPa
from pymatgen.core import Structure
from tests.gpaw_calculations import make_silicon

from nextrung.adapters.gpaw.calculation import (
    GpawError,
    describe_input,
    run_gpaw,
    validate_gpaw,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.gpaw import GpawRelaxation, GpawSettings, Spin

if TYPE_CHECKING:
    from pathlib import Path

#: Coarse enough for seconds on one core.
COARSE = GpawSettings(plane_wave_cutoff=250, k_point_density=0.9)


@pytest.mark.usefixtures("gpaw")
def test_pbe_forces_are_derivatives_of_the_energy(tmp_path: Path) -> None:
    """Along the bond, against differences of energies."""
    silicon, step = make_silicon(5.4), 0.01
    silicon.translate_sites([1], [0.03, 0.03, 0.03], frac_coords=False)
    moved = [silicon.copy() for _ in range(2)]
    for sign, each in zip((1, -1), moved, strict=True):
        each.translate_sites([1], np.full(3, sign * step), frac_coords=False)

    run = run_gpaw(silicon, COARSE, tmp_path)
    ahead, behind = (run_gpaw(each, COARSE, tmp_path).steps[0] for each in moved)

    slope = (ahead["energy"] - behind["energy"]) / (2 * step)
    assert sum(run.steps[0]["forces"][1]) == pytest.approx(-slope, rel=0.05)
    assert np.sum(run.steps[0]["forces"], axis=0) == pytest.approx(0, abs=0.01)
    calculation = run.calculation
    assert (calculation.kernel, calculation.k_points) == ("PBE", (2, 2, 2))
    assert calculation.data_sets["Si"].name == "Si.PBE"
    assert calculation.version.startswith("25.")
    assert (tmp_path / "gpaw.txt").read_text().count(calculation.data_sets["Si"].md5)


@pytest.mark.usefixtures("gpaw")
def test_r2scan_is_calculated_with_the_data_sets_of_pbe(tmp_path: Path) -> None:
    settings = COARSE.model_copy(update={"functional": "r2SCAN"})

    run = run_gpaw(make_silicon(5.2), settings, tmp_path)

    assert run.calculation.kernel == "MGGA_X_R2SCAN+MGGA_C_R2SCAN"
    assert run.calculation.data_sets["Si"].name == "Si.PBE"
    (step,) = run.steps
    assert step["stress"][0] / GPa < -5  # compression is negative
    assert step["forces"] == pytest.approx(np.zeros((2, 3)), abs=1e-6)
    assert step["magmoms"] is None


@pytest.mark.usefixtures("gpaw")
def test_a_compressed_crystal_relaxes_and_every_step_is_a_label(tmp_path: Path) -> None:
    settings = GpawSettings(
        plane_wave_cutoff=200,
        k_point_density=1.0,
        smearing_width=0.2,
        relaxation=GpawRelaxation(fmax=0.05),
    )
    aluminium = Structure(make_silicon(3.86).lattice, ["Al"], [[0, 0, 0]])

    run = run_gpaw(aluminium, settings, tmp_path)

    assert run.relaxed
    assert run.calculation.n_scf_steps == [each["n_scf_steps"] for each in run.steps]
    first, last = run.steps[0], run.steps[-1]
    assert last["energy"] < first["energy"]
    assert first["stress"][0] / GPa < -10
    assert abs(last["stress"][0]) < abs(first["stress"][0]) / 10
    assert np.linalg.det(last["cell"]) > np.linalg.det(first["cell"])


@pytest.mark.usefixtures("gpaw")
def test_a_cycle_that_does_not_converge_is_an_error_of_the_structure(
    tmp_path: Path,
) -> None:
    hasty = COARSE.model_copy(update={"max_scf_steps": 2})
    with pytest.raises(GpawError, match="KohnShamConvergenceError: Did not converge"):
        run_gpaw(make_silicon(), hasty, tmp_path)


@pytest.mark.usefixtures("gpaw")
@pytest.mark.parametrize(
    ("functional", "number", "reason"),
    [
        ("PBE", 92, r"the PAW data set U\.PBE of GPAW .*, got none"),
        ("MGGA_X_NONSENSE", 14, "a functional of libxc, got 'MGGA_X_NONSENSE'"),
        ("GGA_X_PBE_SOL+GGA_C_PBE_SOL", 14, "the PAW data set Si.GGA_X_PBE_SOL"),
    ],
)
def test_what_gpaw_cannot_calculate_is_known_before_it_starts(
    functional: str, number: int, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        validate_gpaw(GpawSettings(functional=functional), [number])


@pytest.mark.usefixtures("gpaw")
def test_processes_of_mpi_need_a_gpaw_with_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher would start the same calculation several times in one folder."""
    monkeypatch.setenv("PMI_SIZE", "1000")
    with pytest.raises(InputError, match="a GPAW with MPI for 1000 processes"):
        validate_gpaw(GpawSettings(), [14])


def test_a_missing_gpaw_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTRUNG_GPAW_COMMAND", f"{sys.executable} -S -I")
    with pytest.raises(InputError, match=r"nextrung\[gpaw\].* got: No module named"):
        validate_gpaw(GpawSettings(), [14])


def test_a_missing_program_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTRUNG_GPAW_COMMAND", "/no/mpiexec -n 8 python")
    with pytest.raises(InputError, match=r"NEXTRUNG_GPAW_COMMAND, got '/no/mpiexec"):
        validate_gpaw(GpawSettings(), [14])


@pytest.mark.usefixtures("gpaw_script")
def test_a_crash_is_an_error_and_a_kill_is_none(tmp_path: Path) -> None:
    """What is killed from outside says nothing about the structure."""
    iron, gold = make_silicon(), make_silicon()
    iron.replace_species({"Si": "Fe"})
    gold.replace_species({"Si": "Au"})

    with pytest.raises(GpawError, match="crashed with exit code 1: out of memory"):
        run_gpaw(iron, COARSE, tmp_path)
    with pytest.raises(RuntimeError, match="killed: exit code -9") as killed:
        run_gpaw(gold, COARSE, tmp_path)
    assert not isinstance(killed.value, GpawError)


def test_moments_start_at_those_of_the_structure_then_of_the_element() -> None:
    silicon = make_silicon()
    polarized = GpawSettings(spin=Spin.POLARIZED, initial_magmoms={"Si": 2.0})

    by_element = describe_input(silicon, polarized)["magmoms"]
    by_default = describe_input(silicon, GpawSettings(spin=Spin.POLARIZED))["magmoms"]
    silicon.add_site_property("magmom", [1.0, None])
    of_structure = describe_input(silicon, polarized)["magmoms"]

    assert by_element == [2.0, 2.0]
    assert by_default == [0.6, 0.6]
    assert of_structure == [1.0, 2.0]
    assert describe_input(silicon, GpawSettings())["magmoms"] is None


def test_settings_become_parameters_of_gpaw() -> None:
    settings = GpawSettings(functional="SCAN", plane_wave_cutoff=420, max_scf_steps=9)

    given = describe_input(make_silicon(), settings)

    assert given["parameters"] == {
        "mode": {"name": "pw", "ecut": 420.0},
        "xc": "MGGA_X_SCAN+MGGA_C_SCAN",
        "occupations": {"name": "fermi-dirac", "width": 0.05},
        "spinpol": False,
        "convergence": {"energy": 1e-5, "density": 1e-5},
        "maxiter": 9,
    }
    assert given["relaxation"] is None
