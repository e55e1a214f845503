"""Relax perturbed prototypes with SevenNet in batches and one by one with sevenn.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_sevennet.py

One by one means sevenn's own calculator, ASE's FIRE and FrechetCellFilter. Both run in
this process, on one core. Compare processor times on a CPU and wall times on a GPU
(``--device cuda``).
"""

from __future__ import annotations

import argparse
import os
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from bench_relaxation import (
    choose_structures,
    compare,
    describe,
    measure,
    name_device,
    run_nextrung,
)
from sevenn.calculator import SevenNetCalculator

from nextrung.potentials.potential import Potential
from nextrung.potentials.prediction import keep_freed_memory
from nextrung.potentials.sevennet.files import split_name
from nextrung.potentials.sevennet.loading import load_sevennet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench_relaxation import Run
    from pymatgen.core import Structure

PACKAGES = ("nextrung", "sevenn", "e3nn", "torch", "ase", "numpy", "pymatgen")
FMAX, MAX_STEPS = 0.05, 500


def load(name: str, device: str) -> Potential:
    """Load a potential."""
    keep_freed_memory()
    loaded = load_sevennet(name, device)
    return Potential(loaded.backend, name, loaded.elements)


def load_calculator(name: str, device: str) -> SevenNetCalculator:
    """Load the calculator of sevenn."""
    path, fidelity = split_name(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no accelerator
        return SevenNetCalculator(path, modal=fidelity, device=device)


def run_sevenn(calculator: SevenNetCalculator, structures: Sequence[Structure]) -> Run:
    """Relax one by one with sevenn and ASE."""

    def relax_all() -> list[tuple[float, int]]:
        ends = []
        for structure in structures:
            atoms = structure.to_ase_atoms()
            atoms.calc = calculator
            optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of rounding in scipy's logm
                optimizer.run(fmax=FMAX, steps=MAX_STEPS)
            ends.append((atoms.get_potential_energy(), optimizer.nsteps))
        return ends

    return measure(relax_all)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="sevennet-0")
    parser.add_argument("--structures", type=int, default=24)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    potential = load(arguments.model, arguments.device)
    structures = choose_structures(potential, arguments.structures)
    n_atoms = np.array([len(structure) for structure in structures])
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES))
    print(
        f"{arguments.model}, {len(structures)} structures of {n_atoms.min()} to "
        f"{n_atoms.max()} atoms, mean {n_atoms.mean():.1f}; "
        f"{torch.get_num_threads()} thread, {name_device(arguments.device)}"
    )
    calculator = load_calculator(arguments.model, arguments.device)
    run_sevenn(calculator, structures[:1])  # TorchScript compiles at the first calls
    run_nextrung(potential, structures[:1], FMAX)
    ours = run_nextrung(potential, structures, FMAX)
    describe("nextrung, batched", ours)
    theirs = run_sevenn(calculator, structures)
    describe("sevenn, one by one", theirs)
    print(
        f"ratio {theirs.cpu_time / ours.cpu_time:.2f} (processor time), "
        f"{theirs.wall_time / ours.wall_time:.2f} (wall time)"
    )
    same = int((ours.n_steps == theirs.n_steps).sum())
    print(f"same number of steps in {same} of {len(structures)}")
    compare("energies against sevenn", (ours.energies - theirs.energies) / n_atoms)


if __name__ == "__main__":
    main()
