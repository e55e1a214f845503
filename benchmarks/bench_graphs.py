"""Build graphs of perturbed prototypes with nextrung and with chgnet's converter.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_graphs.py

Both start from pymatgen structures and alternate in this process; chgnet uses its
cython converter. Times are processor times on a CPU and wall times on a GPU, the
shortest of all turns.
"""

from __future__ import annotations

import argparse
import os
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from bench_relaxation import perturb, read_prototypes
from chgnet.graph import CrystalGraphConverter

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.prediction import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pymatgen.core import Structure

PACKAGES = ("nextrung", "chgnet", "torch", "numpy", "pymatgen")


def choose_structures(n_structures: int, n_atoms: tuple[int, int]) -> list[Structure]:
    """Choose perturbed prototypes evenly from all sizes within the limits."""
    rng = np.random.default_rng(0)
    sized = [s for s in read_prototypes() if n_atoms[0] <= len(s) <= n_atoms[1]]
    chosen = np.linspace(0, len(sized) - 1, n_structures).round().astype(int)
    return [perturb(sized[index], rng) for index in rng.permutation(chosen)]


def measure(task: Callable[[], object], device: str) -> float:
    """Time one turn: processor time on a CPU, wall time on a GPU."""
    if device == "cpu":
        start = time.process_time()
        task()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    task()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def take_turns(
    tasks: Mapping[str, Callable[[], object]], n_turns: int, device: str
) -> dict[str, float]:
    """Run tasks in turns; find the shortest turn of each but the first."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(n_turns + 1):
        for name, task in tasks.items():
            times[name].append(measure(task, device))
    return {name: min(turns[1:]) for name, turns in times.items()}


def describe_run(structures: list[Structure], device: str) -> None:
    """Print structures, hardware and versions."""
    n_atoms = [len(structure) for structure in structures]
    crystals = Crystals.of(structures)
    costs = find_pairs(crystals)
    hardware = torch.cuda.get_device_name() if device != "cpu" else "CPU"
    print(
        f"{len(structures)} structures of {min(n_atoms)}-{max(n_atoms)} atoms (mean "
        f"{np.mean(n_atoms):.1f}, {2 * costs.n_pairs.mean():.0f} directed edges, "
        f"{costs.n_angles.mean():.0f} angles) on {hardware}, "
        f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    )
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=int, default=64)
    parser.add_argument("--atoms", type=int, nargs=2, default=(2, 24))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def main() -> None:
    """Measure times and print them."""
    options = parse_arguments()
    torch.set_num_threads(1)
    structures = choose_structures(options.structures, options.atoms)
    describe_run(structures, options.device)
    keep_freed_memory()  # as loading a potential does, for both
    convert = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)
    times = take_turns(
        {
            "chgnet": lambda: [
                convert(structure).to(options.device) for structure in structures
            ],
            "nextrung": lambda: build_graphs(Crystals.of(structures), options.device),
        },
        options.turns,
        options.device,
    )
    for name, seconds in times.items():
        print(f"{name:24s} {seconds / len(structures) * 1e3:9.3f} ms per structure")
    print(f"ratio {times['chgnet'] / times['nextrung']:.1f}")


if __name__ == "__main__":
    main()
