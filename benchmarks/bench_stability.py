"""Score synthetic entries like those of the Materials Project, and with pymatgen.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_stability.py

Entries of 88 elements, in chemical systems of two to six elements in which oxygen,
fluorine and a few others are common, with polymorphs; about half of them are stable.
Both start from pymatgen entries, in this process; times are processor times. pymatgen's
phase separation is timed on a sample and scaled to all entries. Where pymatgen differs
by more than 1e-6 eV/atom, HiGHS solves the linear programme too. Further runs double
the number of entries at a fixed size of the chemical systems, and change one entry.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.phase_diagram import PatchedPhaseDiagram
from pymatgen.core import Composition, Element
from pymatgen.entries.computed_entries import ComputedEntry
from scipy.optimize import linprog

from nextrung.compute.stability import (
    EntryTable,
    decompose,
    rescore_decomposition,
    score_decomposition,
)
from nextrung.compute.stability.hull_decompositions import decompose_compositions
from nextrung.compute.stability.hulls import build_hulls

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Indices of the elements, number of atoms of each, and energy in eV/atom.
Compound = tuple[tuple[int, ...], tuple[int, ...], float]
#: Elements up to plutonium without noble gases.
ELEMENTS = [Element.from_Z(z) for z in range(1, 95) if z not in {2, 10, 18, 36, 54, 86}]
#: Relative frequency of common elements.
COMMON = {"O": 20, "S": 6, "F": 6, "Li": 5, "P": 5, "Si": 5, "H": 5, "N": 4, "Cl": 4}
#: Fractions of compounds of two to six elements.
SHARES = (0.17, 0.47, 0.26, 0.08, 0.02)
#: Fractions of entries that are polymorphs, and of compounds in a known system.
POLYMORPHS, SAME_SYSTEM = 0.18, 0.45
#: Smallest difference in eV/atom that is reported.
TOLERANCE = 1e-6


class Generator:
    """Random entries from pair interactions.

    Parameters
    ----------
    seed : int
        Random seed.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        n_elements = len(ELEMENTS)
        weights = self.rng.uniform(0.2, 2, n_elements)
        for symbol, weight in COMMON.items():
            weights[ELEMENTS.index(Element(symbol))] = weight
        self.weights = weights / weights.sum()
        polarity = np.array([element.X or 1.8 for element in ELEMENTS])
        pairs = 0.5 * (polarity[:, None] - polarity) ** 2
        self.pairs = pairs + 0.1 * np.abs(self.rng.normal(size=pairs.shape))
        self.references = -self.rng.uniform(1, 10, n_elements)
        self.known: list[Compound] = []

    def draw(self, n_entries: int) -> list[ComputedEntry]:
        """Draw all elements, and compounds up to the number of entries."""
        drawn: list[Compound] = [
            ((z,), (1,), energy) for z, energy in enumerate(self.references.tolist())
        ]
        while len(drawn) < n_entries:
            drawn.append(self._draw_compound())
        return [
            ComputedEntry(
                Composition(
                    {ELEMENTS[z]: n for z, n in zip(elements, counts, strict=True)}
                ),
                energy * sum(counts),
                entry_id=f"made-up-{number}",
            )
            for number, (elements, counts, energy) in enumerate(drawn)
        ]

    def _draw_compound(self) -> Compound:
        """Draw a polymorph, a compound of a known system, or a new system."""
        choice = self.rng.random()
        if self.known and choice < POLYMORPHS:
            elements, counts, energy = self.known[self.rng.integers(len(self.known))]
            return elements, counts, energy + abs(self.rng.normal()) * 0.04
        if self.known and choice < POLYMORPHS + (1 - POLYMORPHS) * SAME_SYSTEM:
            elements = self.known[self.rng.integers(len(self.known))][0]
        else:
            size = self.rng.choice(np.arange(2, 7), p=SHARES)
            chosen = self.rng.choice(len(ELEMENTS), size, replace=False, p=self.weights)
            elements = tuple(sorted(chosen.tolist()))
        counts = tuple(
            self.rng.choice([1, 1, 1, 2, 2, 3, 4, 6], len(elements)).tolist()
        )
        compound = (elements, counts, self._energy(elements, np.array(counts)))
        self.known.append(compound)
        return compound

    def _energy(self, elements: tuple[int, ...], counts: NDArray[np.int64]) -> float:
        """Sum references, pair interactions and noise in eV/atom."""
        fractions = counts / counts.sum()
        chosen = list(elements)
        interaction = fractions @ self.pairs[np.ix_(chosen, chosen)] @ fractions
        mixing = 0.25 * np.prod(fractions * len(chosen)) * len(chosen) ** 0.5
        noise = self.rng.normal() * 0.06
        return float(fractions @ self.references[chosen] - interaction - mixing + noise)


def measure(task: Callable[[], object], turns: int = 1) -> float:
    """Measure the processor time of a task in s, the shortest of some turns."""
    times = []
    for _ in range(turns):
        start = time.process_time()
        task()
        times.append(time.process_time() - start)
    return min(times)


def compare_with_pymatgen(entries: list[ComputedEntry], n_sample: int) -> None:
    """Time both, and compare their energies on a sample."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    own = measure(lambda: score_decomposition(entries), turns=3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"nextrung, all entries to records {own:9.2f} s, {peak / 1024:.0f} MiB")
    table = EntryTable.from_entries(entries)
    arrays = measure(lambda: decompose(table), turns=3)
    print(f"nextrung, from arrays to arrays  {arrays:9.2f} s")
    solving = measure(partial(decompose_compositions, build_hulls(table).phases), 3)
    print(f"nextrung, linear programmes      {solving:9.2f} s")
    start = time.process_time()
    diagram = PatchedPhaseDiagram(entries)
    build = time.process_time() - start
    sample = np.random.default_rng(1).choice(len(entries), n_sample, replace=False)
    start = time.process_time()
    oracle = [diagram.get_phase_separation_energy(entries[k]) for k in sample]
    query = (time.process_time() - start) * len(entries) / n_sample
    print(f"pymatgen, patched phase diagrams {build:9.2f} s")
    print(f"pymatgen, phase separation       {query:9.2f} s, from {n_sample} entries")
    print(f"ratio                            {(build + query) / own:9.0f}")
    records = score_decomposition(entries)
    energies = np.array([r.decomposition_energy_per_atom for r in records], dtype=float)
    differences = energies[sample] - np.array(oracle, dtype=float)
    print(f"largest difference {np.abs(differences).max():.1e} eV/atom", end=", ")
    print(f"stable {np.mean(energies < 0):.2f}")
    for k, difference in zip(sample, differences, strict=True):
        if abs(difference) > TOLERANCE:
            exact = energies[k] - decompose_with_highs(entries, entries[k])
            print(f"  {entries[k].reduced_formula}, nextrung less", end=" ")
            print(f"pymatgen: {difference:+.1e}, less HiGHS: {exact:+.1e} eV/atom")


def decompose_with_highs(entries: list[ComputedEntry], target: ComputedEntry) -> float:
    """Solve the linear programme of one entry with HiGHS."""
    elements = target.composition.elements
    formula = target.reduced_formula
    others = [
        entry
        for entry in entries
        if set(entry.composition.elements).issubset(elements)
        and entry.reduced_formula != formula
    ]
    solution = linprog(
        [entry.energy_per_atom for entry in others],
        A_eq=[[e.composition.get_atomic_fraction(x) for e in others] for x in elements],
        b_eq=[target.composition.get_atomic_fraction(x) for x in elements],
        method="highs",
    )
    return float(target.energy_per_atom - solution.fun)


def repeat(table: EntryTable, copies: int) -> EntryTable:
    """Concatenate copies of a table, each with elements of its own."""
    n_symbols = len(table.symbols)
    names = range(copies)
    ends = [table.offsets[1:] + copy * table.offsets[-1] for copy in names]
    return EntryTable(
        entry_ids=[f"{copy}-{name}" for copy in names for name in table.entry_ids],
        symbols=[f"{symbol}{copy}" for copy in names for symbol in table.symbols],
        offsets=np.concatenate([[0], *ends]),
        elements=np.concatenate([table.elements + copy * n_symbols for copy in names]),
        amounts=np.tile(table.amounts, copies),
        energies=np.tile(table.energies, copies),
    )


def measure_growth(entries: list[ComputedEntry]) -> None:
    """Time increasing numbers of entries at a fixed size of chemical systems."""
    base = EntryTable.from_entries(entries)
    for copies in (1, 2, 4, 8):
        table = repeat(base, copies)
        seconds = measure(partial(decompose, table), turns=3)
        print(f"{len(table):7d} entries {seconds:6.2f} s", end=" ")
        print(f"{seconds / len(table) * 1e6:6.1f} µs per entry")


def measure_rescoring(entries: list[ComputedEntry]) -> None:
    """Change one compound after another, and time the update of the records."""
    records = score_decomposition(entries)
    compounds = [k for k, entry in enumerate(entries) if len(entry.composition) > 1]
    times, scored = [], []
    for number in np.random.default_rng(2).choice(compounds, 20):
        entry = entries[number]
        changed = entries.copy()
        changed[number] = ComputedEntry(
            entry.composition, entry.energy - 1, entry_id=entry.entry_id
        )
        start = time.process_time()
        updated = rescore_decomposition(records, changed, {entry.entry_id})
        times.append(time.process_time() - start)
        pairs = zip(updated, records, strict=True)
        scored.append(sum(new is not old for new, old in pairs))
    print(
        f"one entry changed: {np.mean(scored):.1f} of {len(entries)} records", end=" "
    )
    print(f"new (most {max(scored)}), {np.mean(times):.2f} s on average, from entries")
    if updated != score_decomposition(changed):
        raise SystemExit("rescored records differ from those from scratch")


def main() -> None:
    """Measure times and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=34_927)
    parser.add_argument("--sample", type=int, default=1500)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # pymatgen warns of large systems
    packages = ("nextrung", "pymatgen-core", "numba", "numpy", "scipy")
    print(", ".join(f"{name} {version(name)}" for name in packages))
    entries = Generator().draw(options.entries)
    print(f"{len(entries)} entries")
    score_decomposition(entries[:500])  # compile
    compare_with_pymatgen(entries, options.sample)
    measure_growth(Generator().draw(options.entries // 4))
    measure_rescoring(entries)


if __name__ == "__main__":
    main()
