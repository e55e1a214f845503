"""Reader of vasprun.xml, through pymatgen."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
from monty.io import zopen
from pymatgen.io.vasp.outputs import Vasprun

from nextrung.adapters.files.untrusted.compressed import require_bounded
from nextrung.adapters.sources.vasp.functional import name_functional
from nextrung.adapters.sources.vasp.run import IonicStep, VaspRun
from nextrung.adapters.sources.vasp.states import find_states
from nextrung.schemas.base import InputError

#: Reciprocal vectors that a k-point mesh divides.
N_DIMENSIONS = 3

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def read_vasprun(path: Path) -> VaspRun:
    """Read every ionic step of a finished run.

    Parameters
    ----------
    path : Path
        The file vasprun.xml, plain or compressed.

    Returns
    -------
    VaspRun
        The run; vasprun.xml has no magnetic moments of sites.

    Raises
    ------
    InputError
        If the run is incomplete.
    """
    require_bounded(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            vasprun = Vasprun(
                path, parse_dos=False, parse_eigen=False, parse_potcar_file=False
            )
    except SyntaxError as error:  # base class of XML parse errors
        raise InputError(f"the XML is incomplete: {error}") from error
    tags = {**vasprun.parameters, **vasprun.incar}
    steps = [_read_step(step) for step in vasprun.ionic_steps]
    if tags.get("ML_LMLFF"):
        steps = [step for step in steps if step.n_electronic_steps]
    if not steps:
        raise InputError("no ionic step was completed")
    hubbards = vasprun.hubbards if tags.get("LDAU") else {}
    return VaspRun(
        atomic_numbers=vasprun.initial_structure.atomic_numbers,
        functional=name_functional(tags, _find_exchange(vasprun.potcar_symbols)),
        hubbard_us=hubbards,
        plane_wave_cutoff=float(tags.get("ENCUT", tags["ENMAX"])),
        max_electronic_steps=int(tags["NELM"]),
        steps=steps,
        states=find_states(tags, _count_valence_electrons(path)),
        version=vasprun.vasp_version.strip(),
        potentials={
            title.split()[1].partition("_")[0]: title.strip()
            for title in vasprun.potcar_symbols
            if len(title.split()) > 1
        },
        k_points=_read_mesh(vasprun),
        tags=tags,
    )


def _find_exchange(titles: Sequence[str]) -> str:
    """Find the exchange of pseudopotentials from titles such as ``PAW_PBE Na_pv``."""
    kind = titles[0].split()[0] if titles and titles[0].split() else ""
    return {"PAW_PBE": "PE", "PAW_GGA": "91", "PAW": "CA"}.get(kind, "PE")


def _read_mesh(vasprun: Vasprun) -> Sequence[int]:
    """Read the divisions of the k-point mesh; empty where points are listed."""
    kpoints = vasprun.kpoints
    counts = kpoints.kpts[0] if kpoints is not None and kpoints.kpts else ()
    whole = len(counts) == N_DIMENSIONS and all(float(n).is_integer() for n in counts)
    return [int(count) for count in counts] if whole and min(counts) > 0 else []


def _count_valence_electrons(path: Path) -> float:
    """Count the valence electrons of the neutral cell, from ``atominfo``."""
    with zopen(path, mode="rb") as file:
        for _, element in ET.iterparse(file):  # noqa: S314 - expat, no entities
            if element.tag == "array" and element.get("name") == "atomtypes":
                rows = [[cell.text or "" for cell in row] for row in element.iter("rc")]
                return sum(int(row[0]) * float(row[3]) for row in rows)
    return math.nan


def _read_step(step: Mapping[str, Any]) -> IonicStep:
    """Convert a step."""
    structure = step["structure"]
    if structure is None:
        raise InputError("a step has no structure, as in GW and response calculations")
    return IonicStep(
        lattice=structure.lattice.matrix,
        frac_coords=structure.frac_coords,
        energy=float(step["e_fr_energy"]),
        forces=_to_array(step.get("forces")),
        stress=_to_array(step.get("stress")),
        magmoms=None,
        n_electronic_steps=len(step["electronic_steps"]),
        energy_without_smearing=_read_energy_without_smearing(step),
    )


def _read_energy_without_smearing(step: Mapping[str, Any]) -> float:
    """Read ``e_0_energy``; NaN where it is 0 or a difference, as in VASP 5.4.4."""
    energy, free_energy = float(step.get("e_0_energy") or 0), float(step["e_fr_energy"])
    return energy if abs(energy - free_energy) < abs(energy) else math.nan


def _to_array(rows: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:  # noqa: ANN401
    """Convert rows to an array; None where they are missing."""
    return None if rows is None else np.array(rows, dtype=np.float64)
