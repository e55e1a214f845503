"""Errors on left-out materials of reference shifts: least squares and Bayesian.

    NEXTRUNG_DATA=... python benchmarks/bench_atom_refs.py --cache energies.npz

For each data set and size, whole materials are drawn at random until there are so many
frames, the last one cut, as trainings draw them. Shifts are fitted to label minus
prediction of ``chgnet-0.3.0`` by least squares (minimum norm) and by Bayesian
regression; both predict the materials that were not drawn. Every material counts the
same. A material whose elements all occur in a drawn frame is covered; the others, which
least squares cannot predict, are counted apart. Intervals are of 90 %, over draws
(bootstrap). Predictions are made once and kept in ``--cache``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import ase.io
import numpy as np
from pymatgen.core import Element, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung import Frames, fit_atom_refs, fit_shift, load_potential
from nextrung.adapters.sources.registry import read_labels
from nextrung.compute.atom_refs import UndeterminedReferencesWarning, count_elements
from nextrung.schemas.labels.sources import VaspSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from nextrung.schemas.atom_refs import AtomRefFit

#: Elements of the smaller sets from MPtrj: O, F, light and 3d elements.
LIGHT = {3, 8, 9, *range(11, 18), 19, 20, *range(21, 31)}


@dataclass(frozen=True, eq=False)
class Draws:
    """Errors of the draws of one size, in eV/atom."""

    least_squares: list[float] = field(default_factory=list)
    bayesian: list[float] = field(default_factory=list)
    covered: list[list[bool]] = field(default_factory=list)
    unseen: list[list[float]] = field(default_factory=list)
    unseen_covered: list[list[bool]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Compositions:
    """Atomic fractions of all frames of a set, shape (n_frames, n_elements)."""

    symbols: list[str]
    fractions: NDArray[np.float64]

    def find_widths(
        self, fit: AtomRefFit, chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Find half the widths of the 90 % intervals of frames in eV/atom."""
        if fit.posterior is None:
            raise TypeError("expected a posterior, got none")
        fitted = list(fit.posterior.standard_errors)
        lower = np.zeros((len(fitted), len(fitted)))
        lower[np.tril_indices(len(fitted))] = np.concatenate(fit.posterior.covariance)
        order = [fitted.index(symbol) for symbol in self.symbols]
        covariance = (lower + np.tril(lower, -1).T)[np.ix_(order, order)]
        rows = self.fractions[chosen]
        variances = np.einsum("ij,jk,ik->i", rows, covariance, rows)
        noise = fit.posterior.material_noise**2 + fit.posterior.frame_noise**2
        widths: NDArray[np.float64] = np.sqrt(variances + noise)
        return fit.posterior.interval_factor * widths


def main() -> None:
    """Print one table per data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("bench_atom_refs.npz"))
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--sets", nargs="*", help="Beginnings of names.")
    options = parser.parse_args()
    warnings.simplefilter("ignore", UndeterminedReferencesWarning)
    data = Path(os.environ["NEXTRUNG_DATA"])
    chosen = tuple(options.sets or [""])
    for name, frames, predicted in load_sets(data, options.cache):
        if name.startswith(chosen):
            print(f"\n{name}: {len(frames)} frames", flush=True)
            compare(frames, predicted, options.draws)


def load_sets(data: Path, cache: Path) -> list[tuple[str, Frames, NDArray[np.float64]]]:
    """Load frames with labels, and the energies that the source predicts."""
    read: Mapping[str, Callable[[Path], Frames]] = {
        "oxides, fluorides": read_vasp,
        "mptrj": read_mptrj,
        "Li-Fe-O": read_entries,
        "elements": read_elements,
    }
    frames = {name: reader(data) for name, reader in read.items()}
    if not cache.is_file():
        source, teacher = map(load_potential, ("chgnet-0.3.0", "chgnet-r2scan"))
        made = {n: source.predict_frames(f, "e")[0].energies for n, f in frames.items()}
        taught, _ = teacher.predict_frames(frames["mptrj"], "e")
        np.savez(cache, **made, teacher=taught.energies)
    with np.load(cache) as stored:
        energies = {name: stored[name] for name in stored.files}
    taught = replace(frames["mptrj"], energies=energies["teacher"])
    sets = [
        ("oxides, fluorides: r2SCAN", frames["oxides, fluorides"], "oxides, fluorides"),
        ("MPtrj, light and 3d: uncorrected", select_light(frames["mptrj"]), "mptrj"),
        ("MPtrj, light and 3d: chgnet-r2scan", select_light(taught), "mptrj"),
        ("MPtrj, all elements: uncorrected", frames["mptrj"], "mptrj"),
        ("MPtrj, all elements: chgnet-r2scan", taught, "mptrj"),
        ("Li-Fe-O: GGA+U, uncorrected", frames["Li-Fe-O"], "Li-Fe-O"),
        ("elements: MatPES r2SCAN", frames["elements"], "elements"),
    ]
    usable = []
    for name, labelled, key in sets:
        of_id = dict(zip(frames[key].frame_ids, energies[key], strict=True))
        predicted = np.array([of_id[each] for each in labelled.frame_ids])
        kept = np.isfinite(predicted) & np.isfinite(labelled.energies)
        usable.append((name, labelled[kept], predicted[kept]))
    return usable


def read_vasp(data: Path) -> Frames:
    """Read the r2SCAN relaxations of transition metal oxides and fluorides."""
    folders = [
        data / f"r2scan-tm-{kind}" / "R2SCAN" for kind in ("oxides", "fluorides")
    ]
    frames, _ = read_labels(VaspSource(paths=tuple(map(str, folders))))
    return frames


def read_mptrj(data: Path) -> Frames:
    """Read 1,000 frames of MPtrj with uncorrected energies."""
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


def read_json(file: Path):  # noqa: ANN201 - any JSON
    """Read a compressed JSON file."""
    with gzip.open(file) as stream:
        return json.load(stream)


def label(
    structures: list[Structure], names: list[str], energies: list[float]
) -> Frames:
    """Make frames of structures and total energies, one per material."""
    frames = Frames.from_structures(structures)
    return replace(
        frames, material_ids=np.array(names), energies=np.array(energies, dtype=float)
    )


def select_light(frames: Frames) -> Frames:
    """Select the frames of light and 3d elements alone."""
    other = ~np.isin(frames.atomic_numbers, list(LIGHT))
    return frames[np.setdiff1d(np.arange(len(frames)), frames.frame_of_site[other])]


def compare(frames: Frames, predicted: NDArray[np.float64], n_draws: int) -> None:
    """Print the errors of both fits by number of frames."""
    names, materials = np.unique(frames.material_ids, return_inverse=True)
    counts = count_elements(frames)
    present = np.flatnonzero(counts.any(axis=0))
    symbols = [Element.from_Z(int(column) + 1).symbol for column in present]
    table = Compositions(symbols, counts[:, present] / frames.n_atoms[:, None])
    print(f"{len(names)} materials, {len(symbols)} elements")
    print("| frames | least squares | Bayesian | ratio | in | others | in |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for size in (10, 15, 20, 40, 80, 160):
        if size > 0.8 * len(frames):
            break
        draws = Draws()
        rng = np.random.default_rng(size)
        for _ in range(n_draws):
            order = np.argsort(rng.permutation(len(names))[materials], kind="stable")
            left = ~np.isin(materials, materials[order[:size]])
            score(
                frames,
                predicted,
                table=table,
                draws=draws,
                drawn=order[:size],
                left=left,
            )
        print(f"| {size} | {describe(draws, rng)} |", flush=True)


def score(
    frames: Frames,
    predicted: NDArray[np.float64],
    *,
    table: Compositions,
    draws: Draws,
    drawn: NDArray[np.int64],
    left: NDArray[np.bool_],
) -> None:
    """Fit to the drawn frames, and score the last frame of each material left."""
    train = frames[drawn]
    residual = replace(train, energies=train.energies - predicted[drawn])
    plain = fit_atom_refs(residual).energies
    fit = fit_shift(train, predicted[drawn], table.symbols)
    last = {frames.material_ids[i]: int(i) for i in np.flatnonzero(left)}
    chosen = np.array([*last.values()])
    shifts = ((frames.energies - predicted) / frames.n_atoms)[chosen]
    energies = np.array([fit.energies[symbol] for symbol in table.symbols])
    naive = np.array([plain.get(symbol, 0.0) for symbol in table.symbols])
    fractions = table.fractions[chosen]
    errors = np.abs(fractions @ energies - shifts)
    within = errors < table.find_widths(fit, chosen)
    unseen = fractions[:, [symbol not in plain for symbol in table.symbols]]
    covered = ~unseen.any(axis=1)
    if covered.any():
        least = np.abs(fractions @ naive - shifts)
        draws.least_squares.append(float(least[covered].mean()))
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
