"""Count the labels that a target error needs, chosen by expected gain and at random.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_improve.py

The loop of ``nextrung improve`` with a potential as engine: labels are predictions of
``--target``, learnt from ``--source``. Structures are those of a file that ASE reads,
or generated compounds of the elements given; whole compositions are held out. Every
trial has its own held-out structures, pool and first labels, the same for both
strategies. Without ``--train`` a round fits the references alone; elements without a
label keep those of the source. With it a committee of two is trained in every round,
whose mean error counts.

Savings are 1 - (labels by expected gain) / (labels at random), the geometric mean over
the trials with its 95 % interval of Student's t. Where one of them does not reach a
target, the budget counts for it; trials in which neither does, and those that start
within the target, are left out.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase.io import read
from pymatgen.core import Element
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.stats import t

from nextrung import load_potential
from nextrung.compute.atom_refs import count_elements, fit_shift
from nextrung.compute.decoration import (
    draw_compounds,
    list_prototypes,
    perturb,
    scale_to_atoms,
)
from nextrung.compute.labelling import choose_structures
from nextrung.compute.selection import Pool, select_candidates
from nextrung.potentials.atom_refs import move_atom_refs
from nextrung.potentials.training.fine_tuning import fine_tune
from nextrung.schemas.fine_tuning import FineTuningSettings, LossWeights
from nextrung.schemas.frames import Frames
from nextrung.schemas.improvement import Strategy
from nextrung.schemas.models import RECIPES, Model, Rereference

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential

#: Indices of labelled structures to energies in eV/atom of all structures by members
#: of a committee, shape (n_members, n_structures).
Learner = Callable[["NDArray[np.int64]"], "NDArray[np.float64]"]
#: Fractions of the compositions that are held out.
HELD_OUT = 0.3
#: Structures, of the held-out ones, that choose the best epoch of a training; they are
#: not scored.
N_VALIDATION = 12
MEMBERS = 2
ELEMENTS = ("Li", "Mg", "Al", "Si", "O", "F", "S", "Cl")
TRAINING = FineTuningSettings(
    epochs=6,
    batch_size=8,
    learning_rate=1e-3,
    final_learning_rate=1e-4,
    gradient_points=0,
    loss_weights=LossWeights(magmoms=0),
)


@dataclass(frozen=True, eq=False)
class Labels:
    """Structures with the labels of the target and the energies of the source in eV."""

    frames: Frames
    source_energies: NDArray[np.float64]

    @property
    def counts(self) -> NDArray[np.float64]:
        """Atoms of each element."""
        return count_elements(self.frames)

    @property
    def features(self) -> NDArray[np.float64]:
        """Atomic fractions, and the volume in nm³/atom."""
        volumes = np.abs(np.linalg.det(self.frames.lattices)) / self.frames.n_atoms
        fractions = self.counts / self.frames.n_atoms[:, None]
        return np.column_stack([fractions, 1e-3 * volumes])


@dataclass(frozen=True, eq=False)
class Trial:
    """Indices of the structures of one trial; the first labels are part of the pool."""

    pool: NDArray[np.int64]
    first: NDArray[np.int64]
    validation: NDArray[np.int64]
    held_out: NDArray[np.int64]


def generate(elements: list[str], number: int, max_atoms: int) -> list[Structure]:
    """Generate strained compounds of two or three elements, one of them an anion."""
    rng = np.random.default_rng(0)
    prototypes = list_prototypes(max_atoms)
    drawn: dict[str, Structure] = {}
    while len(drawn) < number:
        chosen = rng.choice(elements, 3, replace=False).tolist()
        drawn |= draw_compounds(prototypes, chosen, 4, rng=rng)
    return [
        perturb(scale_to_atoms(s), strain=0.04, displacement=0.04, rng=rng)
        for s in list(drawn.values())[:number]
    ]


def is_wanted(structure: Structure, options: argparse.Namespace) -> bool:
    """Check the elements of a structure against those asked for."""
    elements = {element.symbol for element in structure.composition}
    return bool(
        (not options.containing or elements & set(options.containing))
        and (not options.within or elements <= set(options.within))
    )


def label(structures: list[Structure], source: Potential, target: Potential) -> Labels:
    """Label structures; leave out what one of the potentials cannot predict."""
    covered = source.elements & target.elements
    kept = [s for s in structures if {e.symbol for e in s.composition} <= covered]
    frames = Frames.from_structures(kept)
    predicted, _ = source.predict_frames(frames, "e")
    labelled, _ = target.predict_frames(frames)
    usable = np.flatnonzero(np.isfinite(predicted.energies + labelled.energies))
    print(f"{len(usable)} of {len(structures)} structures can be predicted")
    return Labels(labelled[usable], predicted.energies[usable])


def divide(labels: Labels, options: argparse.Namespace, seed: int) -> Trial:
    """Divide structures by composition, and choose the first labels."""
    rng = np.random.default_rng(seed)
    formulas = [c.reduced_formula for c in labels.frames.compositions()]
    names, groups = np.unique(formulas, return_inverse=True)
    held_out = rng.permutation(len(names)) < HELD_OUT * len(names)
    held = rng.permutation(np.flatnonzero(held_out[groups]))
    pool = rng.permutation(np.flatnonzero(~held_out[groups]))
    elements = [np.flatnonzero(row) + 1 for row in labels.counts[pool]]
    first = (
        choose_structures([each.tolist() for each in elements], options.first, seed)
        if options.cover
        else list(range(options.first))
    )
    n_validation = N_VALIDATION if options.train else 0
    return Trial(pool, pool[first], held[:n_validation], held[n_validation:])


def learn_references(labels: Labels, known: NDArray[np.int64]) -> NDArray[np.float64]:
    """Fit the shift of the references; elements without a label are not shifted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undetermined references
        fit = fit_shift(labels.frames[known], labels.source_energies[known])
    shifts = np.zeros(labels.counts.shape[1])
    for symbol, energy in fit.energies.items():
        shifts[Element(symbol).Z - 1] = energy
    energies = labels.source_energies + labels.counts @ shifts
    return np.asarray(energies / labels.frames.n_atoms)[None]


def learn_network(
    labels: Labels, trial: Trial, known: NDArray[np.int64], *, source: Potential
) -> NDArray[np.float64]:
    """Train a committee from references of fitted shift; NaN where not predicted."""
    chosen = np.concatenate([known, trial.validation])
    splits = np.array(["train"] * len(known) + ["val"] * len(trial.validation))
    frames = labels.frames[chosen].with_splits(splits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undetermined references
        _, references = move_atom_refs(source, frames, Rereference.RESIDUAL)
    start = source.with_atom_refs(references)
    energies = []
    for seed in range(MEMBERS):
        with TemporaryDirectory() as folder:
            trained = fine_tune(
                start,
                frames,
                TRAINING.model_copy(update={"seed": seed}),
                recipe=RECIPES[Model.RESIDUAL_ATOM_REFS],
                workdir=Path(folder),
            ).potential
        energies.append(trained.predict_frames(labels.frames, "e")[0].energies)
    return np.array(energies) / labels.frames.n_atoms


def run_loop(
    labels: Labels,
    trial: Trial,
    *,
    learn: Learner,
    strategy: Strategy,
    options: argparse.Namespace,
) -> NDArray[np.float64]:
    """Run a loop; return the MAE of the held-out structures after each round."""
    rng = np.random.default_rng(0)
    known = trial.first
    exact = labels.frames.energies / labels.frames.n_atoms
    counts, features = labels.counts, labels.features
    errors = []
    while True:
        energies = learn(known)
        deviations = np.abs(energies - exact)[:, trial.held_out]
        errors.append(np.nanmean(deviations))
        left = np.setdiff1d(trial.pool, known)
        n = min(options.batch, options.budget + len(trial.first) - len(known))
        if n < 1 or not len(left):
            return np.array(errors)
        spread = energies.std(axis=0, ddof=1) if len(energies) > 1 else 0 * exact
        choices = select_candidates(
            Pool(counts[left], np.nan_to_num(spread[left]), features[left]),
            counts[known],
            features[known],
            n=n,
            strategy=strategy,
            rng=rng,
        )
        chosen = left[[choice.index for choice in choices]]
        known = np.concatenate([known, chosen])


def count_labels(errors: NDArray[np.float64], target: float, batch: int) -> float:
    """Count the labels until the error is within a target; infinite if it never is."""
    reached = np.flatnonzero(errors <= target)
    return float(batch * reached[0]) if len(reached) else np.inf


def compare(
    gained: list[NDArray[np.float64]],
    random: list[NDArray[np.float64]],
    options: argparse.Namespace,
) -> None:
    """Print the labels that each target needs, and the saving with its interval."""
    most = options.batch * (min(len(errors) for errors in random) - 1)
    for target in options.targets:
        pairs = np.array(
            [
                [count_labels(errors, target, options.batch) for errors in pair]
                for pair in zip(gained, random, strict=True)
            ]
        )
        missed = np.isinf(pairs).sum(axis=0)
        counted = np.minimum(pairs, most)[np.isfinite(pairs).any(axis=1)]
        counted = counted[counted.min(axis=1) > 0]
        text = f"{target:6.3f} eV/atom: missed {missed[0]} and {missed[1]} times"
        if len(counted):
            by_gain, at_random = counted.mean(axis=0)
            text += f"; {by_gain:5.0f} labels, at random {at_random:5.0f}"
        if len(counted) > 1:
            logs = np.log(counted[:, 0] / counted[:, 1])
            width = t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
            ends = [1 - np.exp(logs.mean() + sign * width) for sign in (1, 0, -1)]
            text += f"; saving {ends[1]:.0%} ({ends[0]:.0%} to {ends[2]:.0%})"
            text += f" in {len(logs)} trials"
        print(text, flush=True)


def run_trials(labels: Labels, source: Potential, options: argparse.Namespace) -> None:
    """Run both strategies on every trial, and print the figures so far."""
    errors: dict[Strategy, list[NDArray[np.float64]]] = {s: [] for s in Strategy}
    for seed in range(options.seeds):
        trial = divide(labels, options, seed)
        learn: Learner = partial(learn_references, labels)
        if options.train:
            learn = partial(learn_network, labels, trial, source=source)
        print(
            f"trial {seed}: {len(trial.pool) - len(trial.first)} candidates, "
            f"{len(trial.first)} first labels, {len(trial.held_out)} held out"
        )
        for strategy, found in errors.items():
            found.append(
                run_loop(labels, trial, learn=learn, strategy=strategy, options=options)
            )
            line = " ".join(f"{error * 1e3:.0f}" for error in found[-1][:24])
            print(f"  {strategy:14s} MAE in meV/atom {line}", flush=True)
    compare(errors[Strategy.EXPECTED_GAIN], errors[Strategy.RANDOM], options)


def main() -> None:
    """Label structures, run the loops, and print errors and savings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=Path, help="file of ASE instead")
    parser.add_argument("--containing", nargs="*", default=[], help="elements to have")
    parser.add_argument(
        "--elements", nargs="*", default=["Li", "Mg", "Al", "Si", "O", "F", "S", "Cl"]
    )
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--max-atoms", type=int, default=8)
    parser.add_argument("--source", default="chgnet-0.3.0")
    parser.add_argument("--target", default="chgnet-r2scan")
    parser.add_argument("--targets", type=float, nargs="+", default=[0.3, 0.2, 0.15])
    parser.add_argument("--first", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--cover", action="store_true", help="choose the first labels by their elements"
    )
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    packages = ("nextrung", "chgnet", "torch", "numpy", "scipy")
    print(", ".join(f"{name} {version(name)}" for name in packages))
    if options.structures:
        atoms = read(options.structures, ":")
        structures = [AseAtomsAdaptor.get_structure(each) for each in atoms]
    else:
        structures = generate(options.elements, options.number, options.max_atoms)
    structures = [s for s in structures if is_wanted(s, options)]
    source, target = load_potential(options.source), load_potential(options.target)
    run_trials(label(structures, source, target), source, options)


if __name__ == "__main__":
    main()
