"""Relax perturbed prototypes in batches and one by one with chgnet's StructOptimizer.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_relaxation.py

Both run in this process, on one core. Compare processor times on a CPU and wall times
on a GPU (``--device cuda``).
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from chgnet.model import CHGNet, StructOptimizer
from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
from pymatgen.core import Element, Lattice, Structure

from nextrung import load_potential
from nextrung.potentials.relaxation.engines import relax
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nextrung.potentials.potential import Potential

PACKAGES = ("nextrung", "chgnet", "torch", "ase", "numpy", "pymatgen")
#: Limits of the prototypes: atoms, Å³ per atom, Å between atoms, eV/Å.
MAX_ATOMS = 60
VOLUMES_PER_ATOM = (5.0, 60.0)
MIN_DISTANCE = 0.9
MAX_FORCE = 15.0


@dataclass(frozen=True)
class Run:
    """Energies, step counts and times of a run."""

    energies: NDArray[np.float64]
    n_steps: NDArray[np.int64]
    cpu_time: float
    wall_time: float


@cache
def read_prototypes() -> list[Structure]:
    """Read ordered, dense prototypes without noble gases, sorted by size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = [entry["snl"].structure for entry in AFLOW_PROTOTYPE_LIBRARY]
    plain = [
        Structure(s.lattice, [site.specie.Z for site in s], s.frac_coords)
        for s in library
        if s.is_ordered and len(s) <= MAX_ATOMS
    ]
    return sorted(filter(is_within_limits, plain), key=len)


def is_within_limits(structure: Structure) -> bool:
    """Check whether elements, volume and distances are within the limits."""
    elements = structure.composition.elements
    if max(element.Z for element in elements) > Element("Pu").Z:
        return False
    if any(element.is_noble_gas for element in elements):
        return False
    centres, _, _, distances = structure.get_neighbor_list(6.0)
    smallest, largest = VOLUMES_PER_ATOM
    return bool(
        smallest <= structure.volume / len(structure) <= largest
        and len(np.unique(centres)) == len(structure)
        and distances.min() > MIN_DISTANCE
    )


def perturb(structure: Structure, rng: np.random.Generator) -> Structure:
    """Strain the cell by some percent and displace the atoms by 0.04 Å."""
    strain = rng.normal(scale=0.02, size=(3, 3))
    lattice = Lattice(structure.lattice.matrix @ (np.eye(3) + (strain + strain.T) / 2))
    strained = Structure(lattice, structure.species, structure.frac_coords)
    shifts = rng.normal(scale=0.04, size=(len(structure), 3))
    coords = strained.cart_coords + shifts
    return Structure(lattice, strained.species, coords, coords_are_cartesian=True)


def choose_structures(potential: Potential, n_structures: int) -> list[Structure]:
    """Choose perturbed prototypes of all sizes with forces below the limit."""
    rng = np.random.default_rng(0)
    prototypes = read_prototypes()
    ranks = np.linspace(0, 1, n_structures + n_structures // 4) ** 0.45
    sizes = (ranks * (len(prototypes) - 1)).round().astype(int)
    candidates = [perturb(prototypes[size], rng) for size in sizes]
    predictions = potential.predict(candidates, "ef")
    chosen = [
        structure
        for structure, prediction in zip(candidates, predictions, strict=True)
        if prediction.forces is not None and np.abs(prediction.forces).max() < MAX_FORCE
    ]
    return [chosen[index] for index in rng.permutation(len(chosen))[:n_structures]]


def measure(relax_all: Callable[[], list[tuple[float, int]]]) -> Run:
    """Time one relaxation of all structures."""
    wall, cpu = time.perf_counter(), time.process_time()
    ends = relax_all()
    return Run(
        energies=np.array([energy for energy, _ in ends]),
        n_steps=np.array([n_steps for _, n_steps in ends]),
        cpu_time=time.process_time() - cpu,
        wall_time=time.perf_counter() - wall,
    )


def load_optimizer(name: str, device: str) -> StructOptimizer:
    """Load chgnet's optimizer with one of its models."""
    model = CHGNet.load(
        model_name=name.removeprefix("chgnet-"), use_device=device, verbose=False
    )
    return StructOptimizer(model=model, use_device=device)


def run_chgnet(
    optimizer: StructOptimizer, structures: Sequence[Structure], fmax: float
) -> Run:
    """Relax one by one with chgnet."""

    def relax_all() -> list[tuple[float, int]]:
        trajectories = (
            optimizer.relax(s.copy(), fmax=fmax, steps=500, verbose=False)["trajectory"]
            for s in structures
        )
        return [(path.energies[-1], len(path) - 2) for path in trajectories]

    return measure(relax_all)


def run_nextrung(
    potential: Potential, structures: Sequence[Structure], fmax: float
) -> Run:
    """Relax in batches with nextrung."""

    def relax_all() -> list[tuple[float, int]]:
        records = relax(potential, structures, RelaxationSettings(fmax=fmax))
        return [
            (np.nan if record.energy is None else record.energy, record.n_steps)
            for record in records
        ]

    return measure(relax_all)


def describe(label: str, run: Run) -> None:
    """Print the times of one run."""
    n_evaluations = int((run.n_steps + 1).sum())
    print(
        f"{label:<24} {run.cpu_time:8.1f} s cpu {run.wall_time:8.1f} s wall "
        f"{1e3 * run.cpu_time / n_evaluations:7.2f} ms/evaluation "
        f"{int(run.n_steps.sum()):6d} steps"
    )


def name_device(device: str) -> str:
    """Format the name of the device."""
    return "CPU" if device == "cpu" else torch.cuda.get_device_name(device)


def compare(title: str, energies: NDArray[np.float64]) -> None:
    """Print the distribution of energy differences in meV/atom."""
    absolute = 1e3 * np.abs(energies)
    print(
        f"{title}: median {np.median(absolute):.4f}, p90 "
        f"{np.percentile(absolute, 90):.4f}, max {absolute.max():.4f} meV/atom; "
        f"{int((absolute > 1).sum())} of {len(absolute)} above 1"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="chgnet-r2scan")
    parser.add_argument("--structures", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    potential = load_potential(arguments.model, arguments.device)
    structures = choose_structures(potential, arguments.structures)
    n_atoms = np.array([len(structure) for structure in structures])
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES))
    print(
        f"{arguments.model}, {len(structures)} structures of {n_atoms.min()} to "
        f"{n_atoms.max()} atoms, mean {n_atoms.mean():.1f}; "
        f"{torch.get_num_threads()} thread, {name_device(arguments.device)}"
    )
    run_nextrung(potential, structures[:4], 0.1)  # warm-up of the device
    ours = run_nextrung(potential, structures, 0.1)
    optimizer = load_optimizer(arguments.model, arguments.device)
    theirs = run_chgnet(optimizer, structures, 0.1)
    describe("StructOptimizer", theirs)
    describe("nextrung, batched", ours)
    print(
        f"ratio {theirs.cpu_time / ours.cpu_time:.2f} (processor time), "
        f"{theirs.wall_time / ours.wall_time:.2f} (wall time)"
    )
    same = int((ours.n_steps == theirs.n_steps).sum())
    print(f"same number of steps in {same} of {len(structures)}")
    compare(
        "energies against StructOptimizer", (ours.energies - theirs.energies) / n_atoms
    )
    tight = run_nextrung(potential, structures, 0.02)
    compare(
        "energies at fmax 0.1 against 0.02", (ours.energies - tight.energies) / n_atoms
    )
    describe("nextrung, fmax 0.02", tight)


if __name__ == "__main__":
    main()
