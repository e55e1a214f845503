"""Calculation of one structure by GPAW, in a process of its own or under MPI."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nextrung.schemas.gpaw import (
    DEFAULT_MAGMOM,
    GpawCalculation,
    GpawSettings,
    Spin,
    name_kernel,
)
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

#: Program that each rank runs.
WORKER: Final = Path(__file__).with_name("worker.py")

#: Exit codes of processes that are stopped from outside.
_STOPPED: Final = {
    code
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    for code in (-number, 128 + number)
}


class GpawRun(NamedTuple):
    """Result of a calculation that GPAW ended without an exception.

    Attributes
    ----------
    steps : sequence of mapping
        Labels of every ionic step: ``energy`` (free energy, eV), ``forces`` (eV/Å),
        ``stress`` (Voigt, eV/Å³, compression negative), ``magmoms`` (μ_B; None where
        spins are paired), ``positions`` and ``cell`` (Å).
    relaxed : bool or None
        Whether the relaxation converged; None for a single point.
    seconds : float
        Duration in s.
    calculation : GpawCalculation
        How the structure was calculated.
    """

    steps: Sequence[Mapping[str, Any]]
    relaxed: bool | None
    seconds: float
    calculation: GpawCalculation


class GpawError(RuntimeError):
    """GPAW raised an exception or crashed; the structure has no labels."""


def run_gpaw(structure: Structure, settings: GpawSettings, folder: Path) -> GpawRun:
    """Calculate a structure in a folder.

    Parameters
    ----------
    structure : Structure
        Ordered structure.
    settings : GpawSettings
        Settings of the calculation.
    folder : Path
        Existing folder, in which the log of GPAW stays.

    Raises
    ------
    GpawError
        If GPAW raises an exception or crashes.
    RuntimeError
        If the process is killed from outside.
    """
    given, written = folder / "input.json", folder / "output.json"
    described = describe_input(structure, settings)
    described["parameters"]["txt"] = str(folder / "gpaw.txt")
    given.write_text(json.dumps(described))
    launcher = shlex.split(os.path.expandvars(MachineSettings().gpaw_command))
    program = [*(launcher or [sys.executable]), str(WORKER), str(given), str(written)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 - the command is a setting of this machine
    if ended.returncode in _STOPPED:
        raise RuntimeError(f"GPAW was killed: exit code {ended.returncode}")
    if ended.returncode:
        last = (ended.stderr.strip() or "no message").splitlines()[-1]
        raise GpawError(f"GPAW crashed with exit code {ended.returncode}: {last}")
    output = json.loads(written.read_text())
    if "error" in output:
        raise GpawError(output["error"])
    run = {key: output.pop(key) for key in ("steps", "relaxed", "seconds")}
    n_scf_steps = [step["n_scf_steps"] for step in run["steps"]]
    calculation = GpawCalculation(
        settings=settings,
        kernel=name_kernel(settings.functional),
        n_scf_steps=n_scf_steps,
        **output,
    )
    return GpawRun(**run, calculation=calculation)


def describe_input(structure: Structure, settings: GpawSettings) -> dict[str, Any]:
    """Describe a calculation in plain values.

    Parameters
    ----------
    structure : Structure
        Ordered structure.
    settings : GpawSettings
        Settings of the calculation.

    Returns
    -------
    dict
        Structure, parameters of GPAW, k-point density and relaxation.
    """
    polarized = settings.spin is Spin.POLARIZED
    relaxation = settings.relaxation
    return {
        "numbers": list(structure.atomic_numbers),
        "positions": structure.cart_coords.tolist(),
        "cell": structure.lattice.matrix.tolist(),
        "magmoms": _initial_magmoms(structure, settings) if polarized else None,
        "k_point_density": settings.k_point_density,
        "relaxation": None if relaxation is None else relaxation.model_dump(),
        "parameters": {
            "mode": {"name": "pw", "ecut": settings.plane_wave_cutoff},
            "xc": name_kernel(settings.functional),
            "occupations": {
                "name": str(settings.smearing),
                "width": settings.smearing_width,
            },
            "spinpol": polarized,
            "convergence": {
                "energy": settings.energy_tolerance,
                "density": settings.density_tolerance,
            },
            "maxiter": settings.max_scf_steps,
        },
    }


def _initial_magmoms(structure: Structure, settings: GpawSettings) -> list[float]:
    """List the moment at which each atom starts, in μ_B."""
    given = structure.site_properties.get("magmom")
    by_element = settings.initial_magmoms
    return [
        by_element.get(site.specie.symbol, DEFAULT_MAGMOM) if moment is None else moment
        for site, moment in zip(
            structure, given or [None] * len(structure), strict=True
        )
    ]
