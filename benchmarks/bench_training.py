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
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from bench_relaxation import perturb, read_prototypes
from chgnet.graph import CrystalGraphConverter
from chgnet.trainer.trainer import CombinedLoss
from torch.optim import Adam

from nextrung import load_potential
from nextrung.potentials.training.batch_loss import LossEvaluator
from nextrung.potentials.training.micro_batches import MicroBatchDataset
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chgnet.graph import CrystalGraph
    from chgnet.model import CHGNet
    from numpy.typing import NDArray
    from pymatgen.core import Structure
    from torch import Tensor

    from nextrung.potentials.chgnet.backend import ChgnetBackend

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


def load_backend(device: str) -> ChgnetBackend:
    """Load the network."""
    return cast("ChgnetBackend", load_potential("chgnet-0.3.0", device).backend)


def make_optimizer(model: CHGNet) -> Adam:
    """Make an optimiser of learning rate zero of a network with frozen references."""
    model.composition_model.requires_grad_(requires_grad=False)
    return Adam(model.parameters(), lr=0.0)


@dataclass
class NextrungSteps:
    """Training steps of nextrung on flat frames."""

    frames: Frames
    device: str

    def __post_init__(self) -> None:
        self.backend = load_backend(self.device).for_training()
        self.optimizer = make_optimizer(self.backend.module)
        self.batches = MicroBatchDataset(self.frames, self.backend)
        self.weights = list(self.backend.module.parameters())
        self.evaluator = LossEvaluator(self.backend, SETTINGS, self.weights)

    def step(self, indices: NDArray[np.int64]) -> float:
        """Train on a batch."""
        parts = self.batches[indices]
        counts = torch.stack([part.labels.count() for part in parts])
        losses = self.evaluator.evaluate(parts, counts.sum(0).to(self.device))
        gradients = zip(*(loss.gradients for loss in losses), strict=True)
        for weight, summands in zip(self.weights, gradients, strict=True):
            weight.grad = torch.stack(summands).sum(0)
        self.optimizer.step()
        return float(torch.stack([loss.loss for loss in losses]).sum())


@dataclass
class ChgnetSteps:
    """Training steps of chgnet's Trainer on cached graphs."""

    frames: Frames
    device: str

    def __post_init__(self) -> None:
        self.model = load_backend(self.device).module
        self.model.train().requires_grad_(requires_grad=True)
        self.optimizer = make_optimizer(self.model)
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

    def step(self, indices: NDArray[np.int64]) -> float:
        """Train on a batch."""
        chosen = self.frames[indices]
        graphs = [self._prepare(self.graphs[index]) for index in indices]
        sizes = chosen.n_atoms.tolist()
        targets = {
            "e": torch.tensor(chosen.energies / sizes).float().to(self.device),
            "f": self._split(chosen.forces, sizes),
            "s": list(torch.tensor(chosen.stresses, device=self.device)),
            "m": self._split(chosen.magmoms, sizes),
        }
        loss = self.criterion(targets, self.model(graphs, task="efsm"))["loss"]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss)

    def _split(self, labels: NDArray[np.float32], sizes: list[int]) -> list[Tensor]:
        return list(torch.split(torch.tensor(labels, device=self.device), sizes))

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
    sides: dict[str, NextrungSteps | ChgnetSteps] = {
        "chgnet Trainer": ChgnetSteps(frames, arguments.device),
        "nextrung": NextrungSteps(frames, arguments.device),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    losses: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(arguments.repeats + 1):
        for batch in batches:
            for name, side in sides.items():
                loss, duration = measure(partial(side.step, batch), arguments.device)
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
