"""Relax increasing numbers of structures, and the same ones in one and two processes.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
        python benchmarks/bench_relaxation_scaling.py

Time per structure and memory should be constant, and two processes twice as fast; the
latter needs two idle cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from functools import partial
from importlib.metadata import version

import numpy as np
import torch
from bench_relaxation import PACKAGES, perturb, read_prototypes

from nextrung import load_potential
from nextrung.potentials.relaxation.engines import relax
from nextrung.potentials.relaxation.parallel import relax_in_processes
from nextrung.schemas.relaxation import RelaxationSettings

#: Maximum number of atoms of small structures, and of those for two processes.
SMALL, MEDIUM = 12, 24


def measure_growth(model: str, max_count: int) -> None:
    """Relax 64, 512, … small structures for a few steps."""
    potential = load_potential(model, device="cpu")
    small = [structure for structure in read_prototypes() if len(structure) <= SMALL]
    rng = np.random.default_rng(0)
    settings = RelaxationSettings(max_steps=3)
    relax(potential, small[:8], settings)
    count = 64
    while count <= max_count:
        chosen = rng.integers(len(small), size=count)
        structures = [perturb(small[index], rng) for index in chosen]
        n_atoms = sum(len(structure) for structure in structures)
        start = time.process_time()
        relax(potential, structures, settings)
        cpu_time = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{count:6d} structures, {n_atoms:6d} atoms: "
            f"{1e3 * cpu_time / count:7.2f} ms/structure "
            f"{1e3 * cpu_time / n_atoms:6.3f} ms/atom, peak memory {peak:6.0f} MiB"
        )
        count *= 8


def measure_processes(model: str, count: int) -> None:
    """Relax the same structures in one process and in two."""
    rng = np.random.default_rng(1)
    medium = [s for s in read_prototypes() if len(s) <= MEDIUM]
    chosen = rng.integers(len(medium), size=count)
    structures = [perturb(medium[index], rng) for index in chosen]
    load = partial(load_potential, model, "cpu")
    times = {}
    for n_processes in (1, 2):
        start = time.perf_counter()
        relax_in_processes(
            load, structures, RelaxationSettings(), n_processes=n_processes
        )
        times[n_processes] = time.perf_counter() - start
        print(f"{n_processes} process(es): {times[n_processes]:7.1f} s wall")
    print(
        f"ratio {times[1] / times[2]:.2f}, start of the processes included; "
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="chgnet-r2scan")
    parser.add_argument("--max-count", type=int, default=4096)
    parser.add_argument("--parallel-count", type=int, default=256)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES))
    measure_growth(arguments.model, arguments.max_count)
    if arguments.parallel_count:
        measure_processes(arguments.model, arguments.parallel_count)


if __name__ == "__main__":
    main()
