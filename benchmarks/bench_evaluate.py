"""Predict perturbed prototypes with nextrung and with chgnet's ``predict_structure``.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_evaluate.py

Energies, forces and stresses from pymatgen structures. chgnet is run at several batch
sizes, of which the fastest counts. Both alternate in this process; times are processor
times on a CPU and wall times on a GPU, the shortest of all turns.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from bench_graphs import choose_structures, describe_run, parse_arguments, take_turns
from chgnet.model import CHGNet

from nextrung import load_potential

BATCH_SIZES = {"cpu": (1, 4, 16), "cuda": (16, 64)}


def main() -> None:
    """Measure times, compare energies, and print both."""
    options = parse_arguments()
    torch.set_num_threads(1)
    structures = choose_structures(options.structures, options.atoms)
    describe_run(structures, options.device)
    model = CHGNet.load(model_name="0.3.0", use_device=options.device, verbose=False)
    potential = load_potential("chgnet-0.3.0", options.device)
    tasks = {
        f"chgnet, batches of {size}": partial(
            model.predict_structure, structures, task="efs", batch_size=size
        )
        for size in BATCH_SIZES[options.device]
    }
    tasks["nextrung"] = partial(potential.predict, structures, "efs")
    times = take_turns(tasks, options.turns, options.device)
    for name, seconds in times.items():
        print(f"{name:24s} {seconds / len(structures) * 1e3:9.3f} ms per structure")
    own = times.pop("nextrung")
    print(f"ratio {min(times.values()) / own:.2f}")
    expected = [float(row["e"]) for row in model.predict_structure(structures)]
    predicted = [prediction.energy for prediction in potential.predict(structures)]
    sizes = [len(structure) for structure in structures]
    deviations = np.array(predicted, dtype=float) / sizes - expected
    print(f"largest deviation {np.abs(deviations).max() * 1e3:.4f} meV/atom")


if __name__ == "__main__":
    main()
