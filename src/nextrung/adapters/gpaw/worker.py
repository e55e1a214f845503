"""Program that runs one calculation of GPAW, alone or on all ranks of MPI.

Usage: ``python worker.py INPUT OUTPUT``, two JSON files. It imports nothing of this
package, so that all ranks start quickly.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpaw
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from gpaw.kpt_descriptor import kpts2sizeandoffsets
from gpaw.mpi import world

if TYPE_CHECKING:
    from collections.abc import Mapping


def calculate(given: Mapping[str, Any]) -> dict[str, Any]:
    """Run a calculation.

    Parameters
    ----------
    given : mapping
        Structure, parameters of GPAW, k-point density and relaxation.

    Returns
    -------
    dict
        Ionic steps with their labels, and how they were calculated.
    """
    atoms = Atoms(
        given["numbers"], positions=given["positions"], cell=given["cell"], pbc=True
    )
    if given["magmoms"] is not None:
        atoms.set_initial_magnetic_moments(given["magmoms"])
    mesh, _ = kpts2sizeandoffsets(density=given["k_point_density"], atoms=atoms)
    atoms.calc = gpaw.GPAW(
        **given["parameters"],
        kpts={"size": [int(count) for count in mesh], "gamma": True},
    )
    steps: list[dict[str, Any]] = []
    started = time.perf_counter()
    relaxed = _relax(atoms, given["relaxation"], steps)
    return {
        "steps": steps,
        "relaxed": relaxed,
        "seconds": time.perf_counter() - started,
        **_describe(atoms.calc),
    }


def _relax(
    atoms: Atoms, relaxation: Mapping[str, Any] | None, steps: list[dict[str, Any]]
) -> bool | None:
    """Record the labels of every ionic step; None for a single point."""
    if relaxation is None:
        steps.append(_label(atoms))
        return None
    atoms.set_constraint(FixSymmetry(atoms))
    with BFGS(FrechetCellFilter(atoms), logfile=None) as optimizer:
        optimizer.attach(lambda: steps.append(_label(atoms)))
        return bool(optimizer.run(relaxation["fmax"], relaxation["max_steps"]))


def _label(atoms: Atoms) -> dict[str, Any]:
    """Read the labels; the energy is the free energy, which forces derive from."""
    energy = atoms.get_potential_energy(force_consistent=True)
    polarized = atoms.calc.get_spin_polarized()
    return {
        "energy": float(energy),
        "forces": atoms.get_forces(apply_constraint=False).tolist(),
        "stress": atoms.get_stress(apply_constraint=False).tolist(),
        "magmoms": atoms.get_magnetic_moments().tolist() if polarized else None,
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.tolist(),
        "n_scf_steps": int(atoms.calc.get_number_of_iterations()),
    }


def _describe(calculator: Any) -> dict[str, Any]:  # noqa: ANN401 - untyped
    """Describe the versions, data sets and k-points of a calculation."""
    mesh = calculator.wfs.kd
    data_sets = {
        setup.symbol: {
            "name": Path(setup.filename).name.removesuffix(".gz"),
            "md5": setup.fingerprint,
        }
        for setup in calculator.wfs.setups
    }
    return {
        "version": gpaw.__version__,
        "libxc_version": gpaw.get_libraries()["libxc"],
        "data_sets": data_sets,
        "k_points": [int(count) for count in mesh.N_c],
        "n_irreducible_k_points": int(mesh.nibzkpts),
        "n_cores": int(world.size),
    }


def main() -> None:
    """Run the calculation of a file; an exception of GPAW is its result."""
    given, written = map(Path, sys.argv[1:])
    try:
        output = calculate(json.loads(given.read_text()))
    except Exception as error:  # noqa: BLE001 - GPAW and ASE raise all kinds
        text = " ".join(str(error).split())
        output = {"error": f"{type(error).__name__}: {text}".removesuffix(": ")}
    if world.rank == 0:
        written.write_text(json.dumps(output))


if __name__ == "__main__":
    main()
