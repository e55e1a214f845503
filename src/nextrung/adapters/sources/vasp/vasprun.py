"""Reader of vasprun.xml, through pymatgen."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.io.vasp.outputs import Vasprun

from nextrung.adapters.sources.vasp.run import IonicStep, VaspRun, name_functional
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            vasprun = Vasprun(
                path, parse_dos=False, parse_eigen=False, parse_potcar_file=False
            )
    except SyntaxError as error:  # base class of XML parse errors
        raise InputError(f"the XML is truncated: {error}") from error
    tags = {**vasprun.parameters, **vasprun.incar}
    hubbards = vasprun.hubbards if tags.get("LDAU") else {}
    return VaspRun(
        atomic_numbers=vasprun.initial_structure.atomic_numbers,
        functional=name_functional(tags),
        hubbard_us=hubbards,
        plane_wave_cutoff=float(tags.get("ENCUT", tags["ENMAX"])),
        max_electronic_steps=int(tags["NELM"]),
        steps=[_read_step(step) for step in vasprun.ionic_steps],
    )


def _read_step(step: Mapping[str, Any]) -> IonicStep:
    """Convert a step; ``e_0_energy`` may be 0 or a difference."""
    structure = step["structure"]
    return IonicStep(
        lattice=structure.lattice.matrix,
        frac_coords=structure.frac_coords,
        energy=float(step["e_fr_energy"]),
        forces=_to_array(step.get("forces")),
        stress=_to_array(step.get("stress")),
        magmoms=None,
        n_electronic_steps=len(step["electronic_steps"]),
    )


def _to_array(rows: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:  # noqa: ANN401
    """Convert rows to an array; None where they are missing."""
    return None if rows is None else np.array(rows, dtype=np.float64)
