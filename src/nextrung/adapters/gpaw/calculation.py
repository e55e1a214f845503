"""Calculation of one structure by GPAW, in a process of its own or under MPI."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nextrung.schemas.base import InputError
from nextrung.schemas.labels.gpaw import (
    DEFAULT_MAGMOM,
    GpawCalculation,
    GpawSettings,
    Spin,
    name_kernel,
)
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymatgen.core import Structure

#: Program that each rank runs.
WORKER: Final = Path(__file__).with_name("worker.py")

#: Exit code of the worker where GPAW cannot calculate any structure.
REFUSED: Final = 2

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
    InputError
        If GPAW cannot calculate any structure with these settings here.
    RuntimeError
        If the process is killed from outside.
    """
    described = describe_input(structure, settings)
    described["parameters"]["txt"] = str(folder / "gpaw.txt")
    output = json.loads(_run_worker(described, folder).read_text())
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


def validate_gpaw(settings: GpawSettings, numbers: Iterable[int]) -> None:
    """Validate that GPAW can calculate structures with these settings here.

    Parameters
    ----------
    settings : GpawSettings
        Settings of the calculations.
    numbers : iterable of int
        Atomic numbers of the elements of the structures.

    Raises
    ------
    InputError
        If GPAW or one of its libraries is missing, libxc does not know the functional,
        or an element has no PAW data set.
    """
    described = {
        "numbers": sorted(set(numbers)),
        "positions": None,
        "parameters": {"xc": name_kernel(settings.functional)},
    }
    with TemporaryDirectory() as folder:
        _run_worker(described, Path(folder))


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


def _run_worker(described: Mapping[str, Any], folder: Path) -> Path:
    """Run the worker on an input, and return the path of its output."""
    given, written = folder / "input.json", folder / "output.json"
    given.write_text(json.dumps(described))
    command = MachineSettings().gpaw_command
    launcher = shlex.split(os.path.expandvars(command)) or [sys.executable]
    program = [*launcher, str(WORKER), str(given), str(written)]
    try:
        ended = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 - a setting of this machine
    except OSError as error:
        raise InputError(
            f"expected the Python of GPAW in $NEXTRUNG_GPAW_COMMAND, got {command!r}: "
            f"{error.strerror}"
        ) from error
    code, lines = ended.returncode, ended.stderr.strip().splitlines()
    last = lines[-1] if lines else "no message"
    if code == REFUSED:
        raise InputError(last)
    if code in _STOPPED:
        raise RuntimeError(f"GPAW was killed: exit code {code}")
    if code:
        raise GpawError(f"GPAW crashed with exit code {code}: {last}")
    return written


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
