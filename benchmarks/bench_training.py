"""Time training steps on perturbed prototypes with nextrung and chgnet's Trainer.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_training.py

A step is forward, loss of energies, forces, stresses and magmoms, backward and Adam.
chgnet's graphs are cached; nextrung builds graphs from frames in every step. Both
alternate in this process; the ratio is of processor times (wall times on a GPU).
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from bench_relaxation import perturb, read_prototypes
from chgnet.graph import CrystalGraphConverter
from chgnet.trainer.trainer import CombinedLoss
from torch.optim import Adam

from nextrung import load_potential
from nextrung.potentials.chgnet.double_backward import use_fast_double_backward
from nextrung.potentials.chgnet.forward import predict_differentiably
from nextrung.potentials.training.losses import compare_outputs, weigh_loss
from nextrung.potentials.training.micro_batches import MAX_COST, MicroBatchDataset
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chgnet.graph import CrystalGraph
    from chgnet.model import CHGNet
    from pymatgen.core import Structure

PACKAGES = ("nextrung", "chgnet", "torch", "numpy", "pymatgen")
SETTINGS = FineTuningSettings()


def choose_structures(number: int) -> list[Structure]:
    """Choose prototypes of all sizes, perturbed and in random order."""
    rng = np.random.default_rng(0)
    prototypes = read_prototypes()
    spread = np.linspace(0, 1, number) ** 0.45 * (len(prototypes) - 1)
    chosen = rng.permutation(np.round(spread).astype(int))
    return [perturb(prototypes[index], rng) for index in chosen]


def label(structures: Sequence[Structure]) -> Frames:
    """Label structures with random values of the usual size."""
    rng = np.random.default_rng(1)
    frames = Frames.from_structures(structures)
    n_sites = len(frames.atomic_numbers)
    return replace(
        frames,
        energies=rng.normal(-5, 2, len(frames)) * frames.n_atoms,
        forces=rng.normal(0, 0.3, (n_sites, 3)).astype(np.float32),
        stresses=rng.normal(0, 3, (len(frames), 3, 3)).astype(np.float32),
        magmoms=np.abs(rng.normal(size=n_sites)).astype(np.float32),
    )


def make_trainable(device: str) -> tuple[CHGNet, Adam]:
    """Load a network, and an optimiser of learning rate zero."""
    model = load_potential("chgnet-0.3.0", device).model
    model.train().requires_grad_(requires_grad=True)
    model.composition_model.requires_grad_(requires_grad=False)
    return model, Adam(model.parameters(), lr=0.0)


@dataclass
class NextrungSteps:
    """Training steps of nextrung on flat frames."""

    frames: Frames
    device: str

    def __post_init__(self) -> None:
        self.model, self.optimizer = make_trainable(self.device)
        use_fast_double_backward(self.model)
        self.batches = MicroBatchDataset(self.frames, MAX_COST[self.device])

    def step(self, indices: np.ndarray) -> float:
        """Train on a batch."""
        parts = self.batches[indices]
        n_labels = sum(part.labels.count() for part in parts).to(self.device)
        self.optimizer.zero_grad()
        total = 0.0
        for part in parts:
            graphs, labels = part.to(torch.device(self.device), torch.float32)
            outputs = predict_differentiably(self.model, graphs, "efsm")
            deviations = compare_outputs(
                outputs, graphs.n_atoms, labels, huber_delta=SETTINGS.huber_delta
            )
            loss = weigh_loss(deviations, n_labels, SETTINGS)
            loss.backward()
            total += float(loss)
        self.optimizer.step()
        return total


@dataclass
class ChgnetSteps:
    """Training steps of chgnet's Trainer on cached graphs."""

    frames: Frames
    device: str

    def __post_init__(self) -> None:
        self.model, self.optimizer = make_trainable(self.device)
        converter = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)
        self.graphs = [converter(s) for s in self.frames.to_structures()]
        weights = SETTINGS.loss_weights
        self.criterion = CombinedLoss(
            target_str="efsm",
            criterion="Huber",
            energy_loss_ratio=weights.energy,
            force_loss_ratio=weights.forces,
            stress_loss_ratio=weights.stress,
            mag_loss_ratio=weights.magmoms,
            delta=SETTINGS.huber_delta,
        )

    def step(self, indices: np.ndarray) -> float:
        """Train on a batch."""
        chosen = self.frames[indices]
        graphs = [self._prepare(self.graphs[index]) for index in indices]
        sizes = chosen.n_atoms.tolist()
        targets = {
            "e": torch.tensor(chosen.energies / sizes).float().to(self.device),
            "f": list(torch.tensor(chosen.forces, device=self.device).split(sizes)),
            "s": list(torch.tensor(chosen.stresses, device=self.device)),
            "m": list(torch.tensor(chosen.magmoms, device=self.device).split(sizes)),
        }
        loss = self.criterion(targets, self.model(graphs, task="efsm"))["loss"]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss)

    def _prepare(self, graph: CrystalGraph) -> CrystalGraph:
        graph.atom_frac_coord.requires_grad = True
        return graph.to(self.device)


def measure(run: Callable[[], float], device: str) -> tuple[float, float]:
    """Compute the loss of a step and its duration in s."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    loss = run()
    return loss, clock() - start


def compare(batch_size: int, arguments: argparse.Namespace) -> None:
    """Print the times of both and their ratio for one batch size."""
    frames = label(choose_structures(batch_size * arguments.batches))
    batches = np.arange(len(frames)).reshape(-1, batch_size)
    sides = {
        "chgnet Trainer": ChgnetSteps(frames, arguments.device),
        "nextrung": NextrungSteps(frames, arguments.device),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    losses: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(arguments.repeats + 1):
        for batch in batches:
            for name, side in sides.items():
                loss, duration = measure(
                    lambda s=side, b=batch: s.step(b), arguments.device
                )
                losses[name].append(loss)
                if repeat:
                    times[name].append(1000 * duration / batch_size)
    print(f"\nbatch {batch_size}, {frames.n_atoms.mean():.1f} atoms per frame")
    for name, values in times.items():
        per_repeat = np.reshape(values, (arguments.repeats, -1)).mean(axis=1)
        print(
            f"{name:16s} {per_repeat.min():8.2f} ms/frame (median of "
            f"{arguments.repeats}: {np.median(per_repeat):.2f}), "
            f"mean loss {np.mean(losses[name]):.5f}"
        )
    ratio = np.sum(times["chgnet Trainer"]) / np.sum(times["nextrung"])
    print(f"ratio            {ratio:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    print(
        f"{arguments.device}, {torch.get_num_threads()} threads, {os.cpu_count()} cores"
    )
    for batch_size in arguments.batch_sizes:
        compare(batch_size, arguments)


if __name__ == "__main__":
    main()
