"""Check and time predictions, training and relaxation on a GPU, in ten minutes.

    python benchmarks/bench_gpu.py                                  # on a GPU
    python benchmarks/bench_gpu.py --device cpu --small             # rehearsal

Prints a Markdown table per section, then the checks; where one fails, the exit code is
1. A section that raises is reported and the others follow, unless the device failed;
sections that would start after the time limit are skipped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from bench_graphs import choose_structures
from bench_relaxation import load_optimizer, name_device, run_chgnet
from bench_training import ChgnetSteps, NextrungSteps, label
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nextrung import load_potential
from nextrung.adapters.cluster.checks.gpus import check_gpus
from nextrung.potentials.batch_budget import find_max_cost, measure_bytes_per_cost
from nextrung.potentials.devices import (
    is_device_failure,
    release_cached_memory,
    try_within_memory,
)
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.registry import load_shared
from nextrung.potentials.relaxation.parallel import (
    relax_in_isolation,
    relax_in_processes,
)
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.chgnet.backend import ChgnetBackend
    from nextrung.potentials.interface import BatchPrediction
    from nextrung.potentials.potential import Potential
    from nextrung.schemas.relaxation import RelaxationRecord

    #: A table: its head and its rows.
    Table = list[tuple[str, ...]]

MODEL = "chgnet-r2scan"
PACKAGES = ("nextrung", "chgnet", "torch", "numpy", "pymatgen")
#: Largest differences of float32 from float64: eV/atom, eV/Å, GPa; and of gradients,
#: relative to the largest component.
TOLERANCES = {"energies": 1e-4, "forces": 5e-3, "stresses": 5e-2, "gradients": 2e-2}


@dataclass(frozen=True)
class Sizes:
    """Numbers of structures of each section, and limits of their atoms."""

    n_atoms: tuple[int, int] = (24, 38)
    n_compared: int = 64
    n_alone: int = 16
    batches: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    training: tuple[int, ...] = (16, 64)
    n_relaxed: int = 2000
    n_one_by_one: int = 20
    processes: tuple[int, ...] = (1, 2, 3)
    n_turns: int = 5


SMALL = Sizes(
    n_atoms=(2, 6),
    n_compared=4,
    n_alone=2,
    batches=(1, 3),
    training=(2,),
    n_relaxed=3,
    n_one_by_one=1,
    processes=(1,),
    n_turns=1,
)


@dataclass
class Bench:
    """Device, sizes and checks of a run."""

    device: torch.device
    sizes: Sizes
    checks: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def potential(self) -> Potential:
        """The potential on the device."""
        return load_potential(MODEL, str(self.device))

    @property
    def backend(self) -> ChgnetBackend:
        """Its model."""
        return cast("ChgnetBackend", self.potential.backend)

    def choose(self, n_structures: int) -> list[Structure]:
        """Choose perturbed prototypes."""
        return choose_structures(n_structures, self.sizes.n_atoms)

    def predict(self, structures: list[Structure]) -> BatchPrediction:
        """Predict energies, forces and stresses on the device."""
        return self.potential.predict_batch(Crystals.of(structures), "efs")

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def measure(self, task: Callable[[], object]) -> float:
        """Time a task in s: the shortest turn but the first."""
        times = []
        for _ in range(self.sizes.n_turns + 1):
            self.synchronize()
            start = time.perf_counter()
            task()
            self.synchronize()
            times.append(time.perf_counter() - start)
        return min(times[1:])

    def check(self, name: str, *, holds: bool) -> str:
        """Keep a check; return it as a word."""
        self.checks[name] = bool(holds)
        return "yes" if holds else "NO"


def show_device(bench: Bench) -> Table:
    """List the findings of ``nextrung doctor`` about GPUs, and the probed memory."""
    rows: Table = [("check", "found")]
    if bench.device.type == "cuda":
        rows += [(each.subject, f"{each.level}: {each.found}") for each in check_gpus()]
        rows.append(("bytes per cost", f"{measure_bytes_per_cost(bench.backend):,.0f}"))
    rows.append(("cost of a batch", f"{find_max_cost(bench.backend):,}"))
    return rows


def compare_with_cpu(bench: Bench) -> Table:
    """Compare float32 on the device with float64 on the CPU."""
    structures = bench.choose(bench.sizes.n_compared)
    n_atoms = np.array([len(structure) for structure in structures])
    found = bench.predict(structures)
    double = load_potential(MODEL, "cpu").double()
    exact = double.predict_batch(Crystals.of(structures), "efs")
    differences = {
        "energies": (found.energies - exact.energies) / n_atoms,
        "forces": found.forces - exact.forces,
        "stresses": found.stresses - exact.stresses,
    }
    rows: Table = [("property", "largest difference", "within")]
    for name, values in differences.items():
        largest = float(np.abs(values).max())
        limit = TOLERANCES[name]
        holds = bench.check(f"{name} agree with the CPU", holds=largest < limit)
        rows.append((name, f"{largest:.2e}", f"{limit:g}: {holds}"))
    return rows


def compare_with_itself(bench: Bench) -> Table:
    """Compare two predictions, and structures alone with those in a batch."""
    structures = bench.choose(bench.sizes.n_alone)
    first, second = (bench.predict(structures) for _ in range(2))
    same = all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("energies", "forces", "stresses")
    )
    alone = np.array([bench.predict([each]).energies[0] for each in structures])
    n_atoms = np.array([len(structure) for structure in structures])
    largest = float((np.abs(alone - first.energies) / n_atoms).max())
    close = largest < TOLERANCES["energies"]
    return [
        ("comparison", "result"),
        ("same bits twice", bench.check("same bits twice", holds=same)),
        (
            "alone and in a batch, largest difference",
            f"{largest:.2e} eV/atom: {bench.check('alone as in a batch', holds=close)}",
        ),
    ]


def time_stages(bench: Bench) -> Table:
    """Time the stages of predictions of batches of several sizes."""
    head = ("structures", "search", "check", "build", "evaluate", "µs/atom", "GB")
    rows: Table = [head]
    for size in bench.sizes.batches:
        crystals = Crystals.of(bench.choose(size))
        times = try_within_memory(partial(_time_batch, bench, crystals))
        if times is None:
            rows.append((str(size), *["out of memory"] * (len(head) - 1)))
            continue
        per_atom = 1e6 * sum(times) / len(crystals.atomic_numbers)
        shown = [f"{1e3 * seconds:.2f} ms" for seconds in times]
        peak = 0.0
        if bench.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(bench.device) / 1e9
        rows.append((str(size), *shown, f"{per_atom:.2f}", f"{peak:.2f}"))
    return rows


def _time_batch(bench: Bench, crystals: Crystals) -> list[float]:
    """Time the stages of one batch."""
    backend, device = bench.backend, bench.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    inputs = backend.prepare(crystals, device)
    graphs = backend.build(inputs, device, backend.dtype)
    return [
        bench.measure(partial(backend.prepare, crystals, device)),
        bench.measure(partial(backend.check, inputs)),
        bench.measure(partial(backend.build, inputs, device, backend.dtype)),
        bench.measure(partial(backend.evaluate, graphs, "efs")),
    ]


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Numbers of operations on tensors, and the bytes they read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.number = self.n_bytes = 0

    def __torch_dispatch__(  # noqa: PLR0917 - torch's signature
        self,
        func: Any,  # noqa: ANN401 - an operation of torch
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Count an operation that is no view."""
        made = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [
                leaf
                for leaf in tree_leaves((args, kwargs, made))
                if isinstance(leaf, torch.Tensor)
            ]
            self.number += 1
            self.n_bytes += sum(each.numel() * each.element_size() for each in tensors)
        return made


def count_operations(bench: Bench) -> Table:
    """Count operations, bytes, kernels and synchronisations of both kinds of step."""
    structures = bench.choose(bench.sizes.n_compared)
    steps = NextrungSteps(label(structures), str(bench.device))
    tasks: dict[str, Callable[[], object]] = {
        "prediction": partial(bench.predict, structures),
        "training step": partial(steps.step, np.arange(len(structures))),
    }
    rows: Table = [("of one", "what", "number")]
    for name, task in tasks.items():
        task()
        with Operations() as operations:
            task()
        rows.append((name, "operations", f"{operations.number:,}"))
        rows.append((name, "read and written", f"{operations.n_bytes / 1e6:,.1f} MB"))
        if bench.device.type == "cuda":
            counted = _profile(task)
            rows += [(name, what, f"{n:,}") for what, n in sorted(counted.items())]
    return rows


def _profile(task: Callable[[], object]) -> Counter[str]:
    """Count kernels, synchronisations, copies and their bytes with torch's profiler."""
    activities = [
        torch.profiler.ProfilerActivity.CPU,
        torch.profiler.ProfilerActivity.CUDA,
    ]
    with torch.profiler.profile(activities=activities) as recorded:
        task()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        recorded.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    counted: Counter[str] = Counter()
    for event in events:
        category, name = event.get("cat", ""), event.get("name", "")
        if category == "kernel":
            counted["kernels"] += 1
        elif category == "gpu_memcpy":
            kind = " ".join(name.split()[:2])  # Memcpy HtoD, Memcpy DtoH, …
            counted[f"{kind}, copies"] += 1
            counted[f"{kind}, bytes"] += int(event["args"].get("bytes", 0))
        elif category == "cuda_runtime" and "Synchronize" in name:
            counted["synchronisations"] += 1
    counted["synchronisations"] -= 1  # that at the end
    return counted


def force_out_of_memory(bench: Bench) -> Table:
    """Compare predictions and gradients with those that run out of memory."""
    structures = bench.choose(bench.sizes.n_compared)
    crystals, frames = Crystals.of(structures), label(structures)
    potential = load_potential(MODEL, str(bench.device))
    with _peak_memory(bench) as peak:
        whole = potential.predict_batch(crystals, "efs")
    backend = cast("ChgnetBackend", potential.backend)
    with _little_memory(bench, backend, peak[0]) as failures:
        halved = potential.predict_batch(crystals, "efs")
    largest = np.nanmax(np.abs(halved.energies - whole.energies) / crystals.n_atoms)
    close = bool(largest < TOLERANCES["energies"]) and not halved.errors
    steps = NextrungSteps(frames, str(bench.device))
    with _peak_memory(bench) as peak:
        gradients = _step(steps)
    again = NextrungSteps(frames, str(bench.device))
    with _little_memory(bench, again.backend, peak[0]) as training_failures:
        pairs = list(zip(_step(again), gradients, strict=True))
    furthest = max(
        float((a - b).abs().max()) / max(float(b.abs().max()), 1e-6) for a, b in pairs
    )
    same = furthest < TOLERANCES["gradients"]
    held = bench.check("predictions survive missing memory", holds=close)
    held_too = bench.check("training survives missing memory", holds=same)
    return [
        ("step", "out of memory", "largest difference", "within tolerance"),
        ("prediction", f"{len(failures)} times", f"{largest:.2e} eV/atom", held),
        (
            "training",
            f"{len(training_failures)} times",
            f"{furthest:.2e} of the largest component",
            held_too,
        ),
    ]


def _step(steps: NextrungSteps) -> list[torch.Tensor]:
    """Train on all frames; copy the gradients to the CPU."""
    steps.step(np.arange(len(steps.frames)))
    return [w.grad.cpu().clone() for w in steps.weights if w.grad is not None]


@contextmanager
def _peak_memory(bench: Bench) -> Iterator[list[int]]:
    """Measure the memory that the block takes on a GPU, in bytes."""
    peak = [0]
    if bench.device.type == "cpu":
        yield peak
        return
    torch.cuda.reset_peak_memory_stats(bench.device)
    before = torch.cuda.memory_allocated(bench.device)
    yield peak
    peak[0] = torch.cuda.max_memory_allocated(bench.device) - before


@contextmanager
def _little_memory(
    bench: Bench, backend: ChgnetBackend, peak: int
) -> Iterator[list[int]]:
    """Let a model run out of memory; the list has the sizes of what did not fit.

    A GPU gets a third of the memory the block needs; on a CPU an exception stands for
    the missing memory.
    """
    failures: list[int] = []
    limit = max(1, bench.sizes.n_compared // 3)

    def limited(run: Callable[..., Any]) -> Callable[..., Any]:
        def compute(batch: Any, properties: str) -> Any:  # noqa: ANN401
            size = len(batch.n_atoms)
            if bench.device.type == "cpu" and size > limit:
                failures.append(size)
                raise torch.OutOfMemoryError
            try:
                return run(batch, properties)
            except torch.OutOfMemoryError:
                failures.append(size)
                raise

        return compute

    for name in ("evaluate", "differentiate"):
        setattr(backend, name, limited(getattr(backend, name)))
    if bench.device.type == "cpu":
        yield failures
        return
    release_cached_memory()
    _, total = torch.cuda.mem_get_info(bench.device)
    used = torch.cuda.memory_allocated(bench.device)
    torch.cuda.set_per_process_memory_fraction((used + peak / 3) / total)
    try:
        yield failures
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def time_training(bench: Bench) -> Table:
    """Time training steps beside those of chgnet's Trainer."""
    rows: Table = [("batch", "chgnet", "nextrung", "ratio")]
    for size in bench.sizes.training:
        frames = label(bench.choose(size))
        sides: list[Any] = [
            side(frames, str(bench.device)) for side in (ChgnetSteps, NextrungSteps)
        ]
        theirs, ours = (
            bench.measure(partial(side.step, np.arange(size))) for side in sides
        )
        milliseconds = [f"{1e3 * seconds:.1f} ms" for seconds in (theirs, ours)]
        rows.append((str(size), *milliseconds, f"{theirs / ours:.1f}"))
    return rows


def time_relaxation(bench: Bench) -> Table:
    """Time relaxations in one to three processes, and one by one with chgnet."""
    sizes = bench.sizes
    structures = bench.choose(sizes.n_relaxed)
    optimizer = load_optimizer(MODEL, str(bench.device))
    sample = structures[:: max(1, len(structures) // sizes.n_one_by_one)]
    run = run_chgnet(optimizer, sample, 0.1)
    rows: Table = [("relaxed", "structures", "structures/s", "µs per atom and step")]
    rows.append(_rate("one by one, chgnet", run.wall_time, sample, run.n_steps))
    for number in sizes.processes:
        release_cached_memory()
        start = time.perf_counter()
        records = _relax(bench, structures, number)
        seconds = time.perf_counter() - start
        steps = np.array([record.n_steps for record in records])
        rows.append(_rate(f"{number} processes", seconds, structures, steps))
    return rows


def _relax(
    bench: Bench, structures: list[Structure], n_processes: int
) -> list[RelaxationRecord]:
    """Relax in this process, or in several that share the device."""
    load = partial(load_shared, MODEL, str(bench.device), n_processes)
    settings = RelaxationSettings(fmax=0.1, max_steps=500)
    relaxer = relax_in_processes if n_processes == 1 else relax_in_isolation
    return relaxer(load, structures, settings, n_processes=n_processes)


def _rate(  # noqa: PLR0917 - a row
    name: str, seconds: float, structures: list[Structure], n_steps: NDArray[np.int64]
) -> tuple[str, ...]:
    """Format the time of relaxations, their start included."""
    n_atoms = np.array([len(structure) for structure in structures])
    per_step = 1e6 * seconds / float(((n_steps + 1) * n_atoms).sum())
    rate = len(structures) / seconds
    return name, str(len(structures)), f"{rate:.2f}", f"{per_step:.2f}"


SECTIONS: dict[str, Callable[[Bench], Table]] = {
    "Device": show_device,
    "Agreement with the CPU in float64": compare_with_cpu,
    "Repeatability": compare_with_itself,
    "Missing memory": force_out_of_memory,
    "Stages of a prediction": time_stages,
    "Operations": count_operations,
    "Training steps": time_training,
    "Relaxation": time_relaxation,
}


def run_section(bench: Bench, name: str, section: Callable[[Bench], Table]) -> Table:
    """Run a section; an exception is its result and a failed check."""
    try:
        return section(bench)
    except Exception as error:
        if is_device_failure(error):
            raise
        bench.check(f"{name} runs", holds=False)
        return [("error", f"{type(error).__name__}: {error}")]


def show(table: Table) -> None:
    """Print a table in Markdown."""
    head, *rows = table
    for row in (head, tuple("---" for _ in head), *rows):
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Run all sections, and exit with 1 where a check failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="few small structures")
    parser.add_argument("--minutes", type=float, default=9.0, help="time limit")
    parser.add_argument("--out", type=Path, help="JSON file of all tables")
    arguments = parser.parse_args()
    started = time.perf_counter()
    sizes = SMALL if arguments.small else Sizes()
    bench = Bench(torch.device(arguments.device), sizes)
    torch.set_num_threads(1)
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    print(f"{MODEL} on {name_device(arguments.device)}")
    tables: dict[str, Table] = {}
    for name, section in SECTIONS.items():
        if time.perf_counter() - started > 60 * arguments.minutes:
            tables[name] = [("skipped", "the time limit has passed")]
        else:
            tables[name] = run_section(bench, name, section)
        print(f"\n## {name}, after {time.perf_counter() - started:.0f} s\n")
        show(tables[name])
    if arguments.out is not None:
        content = {"tables": tables, "checks": bench.checks}
        arguments.out.write_text(json.dumps(content, indent=1))
    print("\n## Checks\n")
    show([("check", "holds"), *((n, str(ok)) for n, ok in bench.checks.items())])
    sys.exit(0 if all(bench.checks.values()) else 1)


if __name__ == "__main__":
    main()
