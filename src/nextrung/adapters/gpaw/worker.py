"""Program that runs one calculation of GPAW, alone or on all ranks of MPI.

Usage: ``python worker.py INPUT OUTPUT``, two JSON files. It imports nothing of this
package, so that all ranks start quickly and any Python with GPAW can run it. What this
Python cannot calculate at all is one line and exit code 2; an exception of GPAW for one
structure is an output.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn


def refuse(text: str) -> NoReturn:
    """Print why no structure can be calculated, and exit.

    Parameters
    ----------
    text : str
        One line.

    Raises
    ------
    SystemExit
        With exit code 2.
    """
    sys.stderr.write(f"{text}\n")
    raise SystemExit(2)


try:
    import gpaw
    from ase import Atoms
    from ase.constraints import FixSymmetry
    from ase.data import chemical_symbols
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS
    from gpaw.kpt_descriptor import kpts2sizeandoffsets
    from gpaw.mpi import world
    from gpaw.setup_data import search_for_file
    from gpaw.xc import XC
except ImportError as missing:
    refuse(
        "expected GPAW (pip install 'nextrung[gpaw]'; it needs libxc, a BLAS and a C "
        f"compiler), got: {missing}"
    )

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Environment variables in which launchers of MPI write the number of processes.
RANKS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")


def validate(kernel: str, numbers: Iterable[int]) -> None:
    """Refuse where GPAW lacks MPI, libxc, the functional or a PAW data set.

    Parameters
    ----------
    kernel : str
        GPAW's or libxc's name of the functional.
    numbers : iterable of int
        Atomic numbers.
    """
    n_ranks = max(int(os.environ.get(name) or 1) for name in RANKS)
    if n_ranks > world.size:
        refuse(f"expected a GPAW with MPI for {n_ranks} processes, got one without")
    if not gpaw.get_libraries()["libxc"]:
        refuse("expected a GPAW that is compiled with libxc, got one without")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # how libxc should be compiled
            suffix = XC(kernel).get_setup_name()
    except Exception as error:  # noqa: BLE001 - GPAW raises all kinds
        refuse(f"expected a functional of libxc, got {kernel!r}: {describe(error)}")
    for number in sorted(set(numbers)):
        name = f"{chemical_symbols[number]}.{suffix}"
        try:
            search_for_file(name)
        except (RuntimeError, OSError):
            refuse(
                f"expected the PAW data set {name} of GPAW (pip install gpaw-data, or "
                "$GPAW_SETUP_PATH), got none"
            )


def describe(error: Exception) -> str:
    """Describe an exception in one line.

    Parameters
    ----------
    error : Exception
        Any exception.
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}".removesuffix(": ")


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
        **_describe_run(atoms.calc),
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


def _describe_run(calculator: Any) -> dict[str, Any]:  # noqa: ANN401 - untyped
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
    """Run the calculation of a file, or only validate it where it has no positions."""
    read, written = map(Path, sys.argv[1:])
    given = json.loads(read.read_text())
    validate(given["parameters"]["xc"], given["numbers"])
    if given["positions"] is None:
        return
    try:
        output = calculate(given)
    except Exception as error:  # noqa: BLE001 - GPAW and ASE raise all kinds
        output = {"error": describe(error)}
    if world.rank == 0:
        written.write_text(json.dumps(output))


if __name__ == "__main__":
    main()
