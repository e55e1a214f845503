"""Errors on left-out materials of reference shifts: least squares and Bayesian.

    NEXTRUNG_DATA=... python benchmarks/bench_atom_refs.py --cache shifts.npz

For each data set and size, whole materials are drawn at random until there are so many
frames, the last one cut, as trainings draw them. Shifts are fitted to label minus
prediction of ``chgnet-0.3.0`` by least squares (minimum norm) and by Bayesian
regression; both predict the materials that were not drawn. Every material counts the
same. A material whose elements all occur in a drawn frame is covered; the others, which
least squares cannot predict, are counted apart. "in" is the fraction of errors within
their 90 % interval. Parentheses hold 90 % intervals over draws (bootstrap). Label minus
prediction is computed once and kept in ``--cache``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Element, Structure

from nextrung.compute.atom_refs import count_elements
from nextrung.compute.atom_refs.bayesian import infer_energies
from nextrung.compute.atom_refs.grid import average_frames
from nextrung.compute.atom_refs.periodic_priors import list_covariances

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nextrung import Frames

#: Elements of the smaller sets from MPtrj: O, F, light and 3d elements.
LIGHT = [3, 8, 9, *range(11, 18), 19, 20, *range(21, 31)]

#: Frames that are drawn.
SIZES = [10, 15, 20, 40, 80, 160]


@dataclass(frozen=True, eq=False)
class Shifts:
    """Label minus prediction of frames in eV/atom, and their compositions."""

    numbers: NDArray[np.int64]
    fractions: NDArray[np.float64]
    shifts: NDArray[np.float64]
    materials: NDArray[np.str_]

    def select(self, numbers: list[int]) -> Shifts:
        """Select the frames of some elements alone."""
        inside = np.isin(self.numbers, numbers)
        rows = ~self.fractions[:, ~inside].any(axis=1)
        return Shifts(
            self.numbers[inside],
            self.fractions[rows][:, inside],
            self.shifts[rows],
            self.materials[rows],
        )


@dataclass(frozen=True, eq=False)
class Draws:
    """Errors of the draws of one size, in eV/atom."""

    least_squares: list[float] = field(default_factory=list)
    bayesian: list[float] = field(default_factory=list)
    covered: list[list[bool]] = field(default_factory=list)
    unseen: list[list[float]] = field(default_factory=list)
    unseen_covered: list[list[bool]] = field(default_factory=list)


def main() -> None:
    """Print one table per data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("bench_atom_refs.npz"))
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10, 15, 20, 40, 80, 160]
    )
    parser.add_argument("--sets", nargs="*", help="Beginnings of names.")
    options = parser.parse_args()
    if not options.cache.is_file():
        predict_shifts(Path(os.environ["NEXTRUNG_DATA"]), options.cache)
    for name, shifts in load_sets(options.cache).items():
        if name.startswith(tuple(options.sets or [""])):
            print(f"\n{name}: {len(shifts.shifts)} frames", flush=True)
            compare(shifts, options.sizes, options.draws)


def load_sets(cache: Path) -> dict[str, Shifts]:
    """Load the shifts of all data sets."""
    with np.load(cache) as stored:
        arrays = dict(stored)
    read = {}
    for key in ("r2scan", "mptrj", "taught", "entries", "elements"):
        counts, shifts = arrays[f"{key}_counts"], arrays[f"{key}_shifts"]
        known = np.isfinite(shifts)
        present = np.flatnonzero(counts[known].any(axis=0))
        fractions = counts[known][:, present] / counts[known].sum(axis=1)[:, None]
        materials = arrays[f"{key}_materials"][known]
        read[key] = Shifts(present + 1, fractions, shifts[known], materials)
    return {
        "oxides, fluorides: r2SCAN": read["r2scan"],
        "MPtrj, light and 3d: uncorrected": read["mptrj"].select(LIGHT),
        "MPtrj, light and 3d: chgnet-r2scan": read["taught"].select(LIGHT),
        "MPtrj, all: uncorrected": read["mptrj"],
        "MPtrj, all: chgnet-r2scan": read["taught"],
        "Li-Fe-O: GGA+U, uncorrected": read["entries"],
        "elements: MatPES r2SCAN": read["elements"],
    }


def predict_shifts(data: Path, cache: Path) -> None:
    """Read labels, predict the same frames, and store compositions and shifts."""
    from nextrung import load_potential  # noqa: PLC0415 - slow

    source, teacher = map(load_potential, ("chgnet-0.3.0", "chgnet-r2scan"))
    frames = {
        "r2scan": read_vasp(data),
        "mptrj": read_mptrj(data),
        "entries": read_entries(data),
        "elements": read_elements(data),
    }
    frames["taught"] = teacher.predict_frames(frames["mptrj"], "e")[0]
    stored: dict[str, NDArray[np.generic]] = {}
    for key, labelled in frames.items():
        predicted, _ = source.predict_frames(labelled, "e")
        difference = labelled.energies - predicted.energies
        stored[f"{key}_counts"] = count_elements(labelled)
        stored[f"{key}_shifts"] = difference / labelled.n_atoms
        stored[f"{key}_materials"] = labelled.material_ids
    np.savez(cache, allow_pickle=False, **stored)


def read_vasp(data: Path) -> Frames:
    """Read the r2SCAN relaxations of transition metal oxides and fluorides."""
    from nextrung.adapters.sources.registry import read_labels  # noqa: PLC0415 - slow
    from nextrung.schemas.labels.sources import VaspSource  # noqa: PLC0415

    folders = [
        data / f"r2scan-tm-{kind}" / "R2SCAN" for kind in ("oxides", "fluorides")
    ]
    frames: Frames = read_labels(VaspSource(paths=tuple(map(str, folders)))).frames
    return frames


def read_mptrj(data: Path) -> Frames:
    """Read 1,000 frames of MPtrj with uncorrected energies."""
    import ase.io  # noqa: PLC0415 - slow
    from pymatgen.io.ase import AseAtomsAdaptor  # noqa: PLC0415

    read = ase.io.read(data / "mptrj-sample" / "mptrj-random-1k.xyz", ":")
    structures = [AseAtomsAdaptor.get_structure(atoms) for atoms in read]
    energies = [atoms.get_potential_energy() for atoms in read]
    return label(structures, [a.info["mptrj_traj_id"] for a in read], energies)


def read_entries(data: Path) -> Frames:
    """Read GGA+U entries of Li-Fe-O with uncorrected energies."""
    file = data / "mp-task-documents" / "Li-Fe-O.json.gz"
    entries = [e for e in read_json(file) if e["parameters"]["is_hubbard"]]
    structures = [Structure.from_dict(entry["structure"]) for entry in entries]
    energies = [entry["energy"] for entry in entries]
    return label(structures, [entry["entry_id"] for entry in entries], energies)


def read_elements(data: Path) -> Frames:
    """Read the r2SCAN ground states of the elements of MatPES."""
    file = data / "elemental-references" / "MatPES-r2SCAN-Element-Refs.json.gz"
    documents = read_json(file)
    structures = [Structure.from_dict(each["structure"]) for each in documents.values()]
    energies = [each["energy"] for each in documents.values()]
    return label(structures, list(documents), energies)


def read_json(file: Path) -> Any:  # noqa: ANN401
    """Read a compressed JSON file."""
    with gzip.open(file) as stream:
        return json.load(stream)


def label(
    structures: list[Structure], names: list[str], energies: list[float]
) -> Frames:
    """Make frames of structures and total energies, one per material."""
    from nextrung import Frames  # noqa: PLC0415 - slow

    frames = Frames.from_structures(structures)
    return replace(
        frames, material_ids=np.array(names), energies=np.array(energies, dtype=float)
    )


def compare(shifts: Shifts, sizes: list[int], n_draws: int) -> None:
    """Print the errors of both fits by number of frames."""
    names, materials = np.unique(shifts.materials, return_inverse=True)
    symbols = [Element.from_Z(int(number)).symbol for number in shifts.numbers]
    covariances = list_covariances(symbols)
    print(f"{len(names)} materials, {len(symbols)} elements")
    print("| frames | least squares | Bayesian | ratio | in | others | in |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for size in sizes:
        if size > 0.8 * len(materials):
            break
        draws = Draws()
        rng = np.random.default_rng(size)
        for _ in range(n_draws):
            order = np.argsort(rng.permutation(len(names))[materials], kind="stable")
            score(shifts, order[:size], covariances, draws=draws)
        print(f"| {size} | {describe(draws, rng)} |", flush=True)


def score(
    shifts: Shifts,
    drawn: NDArray[np.int64],
    covariances: Mapping[str, NDArray[np.float64]],
    *,
    draws: Draws,
) -> None:
    """Fit to the drawn frames, and score the last frame of each material left."""
    rows, energies = shifts.fractions[drawn], shifts.shifts[drawn]
    seen = rows.any(axis=0)
    least, *_ = np.linalg.lstsq(rows, energies)
    means = average_frames(rows, energies, shifts.materials[drawn])
    posterior = infer_energies(means, covariances)
    left = ~np.isin(shifts.materials, shifts.materials[drawn])
    last = {shifts.materials[i]: int(i) for i in np.flatnonzero(left)}
    chosen = np.array([*last.values()])
    fractions, expected = shifts.fractions[chosen], shifts.shifts[chosen]
    errors = np.abs(fractions @ posterior.energies - expected)
    variances = np.einsum("ij,jk,ik->i", fractions, posterior.covariance, fractions)
    variances += posterior.material_noise**2 + posterior.frame_noise**2
    within = errors < posterior.interval_factor * np.sqrt(variances)
    covered = ~fractions[:, ~seen].any(axis=1)
    if covered.any():
        naive = np.abs(fractions @ least - expected)
        draws.least_squares.append(float(naive[covered].mean()))
        draws.bayesian.append(float(errors[covered].mean()))
        draws.covered.append(within[covered].tolist())
    if not covered.all():
        draws.unseen.append(errors[~covered].tolist())
        draws.unseen_covered.append(within[~covered].tolist())


def describe(draws: Draws, rng: np.random.Generator) -> str:
    """Describe the errors in meV/atom, their ratio, and coverages."""
    cells = []
    if draws.bayesian:
        least, bayesian = np.array(draws.least_squares), np.array(draws.bayesian)
        chosen = rng.integers(0, len(least), (2000, len(least)))
        low, high = np.quantile(
            bayesian[chosen].mean(axis=1) / least[chosen].mean(axis=1), [0.05, 0.95]
        )
        ratio = bayesian.mean() / least.mean()
        cells += [f"{1e3 * least.mean():.0f}", f"{1e3 * bayesian.mean():.0f}"]
        cells += [f"{ratio:.2f} ({low:.2f} to {high:.2f})", count(draws.covered, rng)]
    else:
        cells += ["–"] * 4
    if draws.unseen:
        mean = np.mean([error for each in draws.unseen for error in each])
        cells += [f"{1e3 * mean:.0f}", count(draws.unseen_covered, rng)]
    else:
        cells += ["–"] * 2
    return " | ".join(cells)


def count(covered: list[list[bool]], rng: np.random.Generator) -> str:
    """Describe the fraction of errors within their interval."""
    within = np.array([sum(each) for each in covered])
    n_errors = np.array([len(each) for each in covered])
    chosen = rng.integers(0, len(within), (2000, len(within)))
    low, high = np.quantile(
        within[chosen].sum(axis=1) / n_errors[chosen].sum(axis=1), [0.05, 0.95]
    )
    return f"{within.sum() / n_errors.sum():.0%} ({low:.0%} to {high:.0%})"


if __name__ == "__main__":
    main()
