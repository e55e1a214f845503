"""Curate synthetic JSON in the layout of MPtrj, and read the frames file.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_dataset.py

Materials have the frame counts of MP-r2SCAN (median 6, mean 6.9, at most 47) and 31
atoms on average; each is a relaxation whose energy and displacements decay. As in the
published files, there are no duplicates: energies differ by 12 meV/atom or more; with
``--gap 0`` there are some. Every stage runs in a process of its own, for its peak
memory; times are processor times. The baseline is chgnet's ``StructureJsonData``:
``json.load`` and one pymatgen structure per frame.

``--duplicates 800`` compares only the rule on duplicates with the loop of MPtrj's
authors, on this number of frames with ``--gap 0``, and on as many copies of one frame.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nextrung.schemas.frames import Frames

#: Maximum number of frames that ``json.load`` can read in 16 GB.
MAX_BASELINE = 100_000
SYMBOLS = ["O", "Li", "P", "S", "Si", "Fe", "Mn", "Na", "F", "N", "Mg", "Al", "Ca", "K"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[2400, 24000])
    parser.add_argument("--gap", type=float, default=0.012)
    parser.add_argument("--stage", choices=["curate", "reread", "baseline"])
    parser.add_argument("--file", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--duplicates", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.duplicates:
        compare_duplicates(arguments.duplicates)
        return
    if arguments.stage:
        stages = {"curate": curate, "reread": reread, "baseline": build_structures}
        print(json.dumps(measure(stages[arguments.stage], arguments.file)))
        return
    for n_frames in arguments.frames:
        with tempfile.TemporaryDirectory() as folder:
            report(n_frames, Path(folder), arguments.gap, arguments.repeats)


def report(n_frames: int, folder: Path, gap: float, n_repeats: int) -> None:  # noqa: PLR0917
    """Measure every stage on a file of n frames; the fastest run counts."""
    path = folder / "frames.json"
    n_frames = write_json(path, n_frames, gap)
    size = path.stat().st_size / 1e6
    os.environ["NEXTRUNG_ROOT"] = str(folder)
    os.environ["NEXTRUNG_N_PROCESSES"] = "1"
    print(f"{n_frames} frames, {size:.0f} MB of JSON")
    seconds = {}
    stages = ["curate", "reread"]
    if n_frames <= MAX_BASELINE:
        stages.append("baseline")
    for stage in stages:
        command = [sys.executable, __file__, "--stage", stage, "--file", str(path)]
        runs = [run_subprocess(command) for _ in range(n_repeats)]
        measured = min(runs, key=lambda run: run["seconds"])
        seconds[stage] = measured["seconds"]
        print(
            f"  {stage:9s} {seconds[stage]:8.2f} s {n_frames / seconds[stage]:9.0f} "
            f"frames/s {size / seconds[stage]:7.1f} MB/s, peak {measured['peak']:.0f} "
            f"MB (before: {measured['before']:.0f} MB) {measured['result']}"
        )
    if n_frames > MAX_BASELINE:
        return
    print(
        f"  curate {seconds['baseline'] / seconds['curate']:.1f}× the baseline, "
        f"re-reading {seconds['baseline'] / seconds['reread']:.0f}×"
    )


def run_subprocess(command: list[str]) -> dict[str, Any]:
    """Measure a stage in a process of its own."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure(stage: Callable[[Path], str], path: Path) -> dict[str, Any]:
    """Time a stage after its modules were loaded and compiled."""
    import pymatgen.core  # noqa: F401, PLC0415

    import nextrung.adapters.curation.stored_dataset  # noqa: F401, PLC0415
    from nextrung.adapters.files.json_split import cut_members  # noqa: PLC0415

    list(cut_members(io.BytesIO(b"[1]")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    start = time.process_time()
    result = stage(path)
    return {
        "seconds": time.process_time() - start,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "before": before,
        "result": result,
    }


def curate(path: Path) -> str:
    """Apply rules 2 to 4 and write the frames file."""
    from nextrung.adapters.curation import dataset, stored_dataset  # noqa: PLC0415
    from nextrung.schemas.dataset import DatasetSettings  # noqa: PLC0415
    from nextrung.schemas.labels import curation, sources  # noqa: PLC0415

    settings = DatasetSettings(
        source=sources.MptrjJsonSource(paths=(str(path),)),
        curation=curation.CurationSettings(
            energy_scale=curation.EnergyScaleSettings(potentials={})
        ),
    )
    stored = stored_dataset.store_dataset(dataset.curate(settings), settings)
    (path.parent / "stored").write_text(stored["frames"].path)
    rejected = {rule.value: n for rule, n in stored["n_rejected"].items() if n}
    return f"kept {stored['n_frames']}, rejected {rejected}"


def reread(path: Path) -> str:
    """Read the frames file that was written."""
    from nextrung.adapters.files.frames import read_frames  # noqa: PLC0415
    from nextrung.settings import MachineSettings  # noqa: PLC0415

    name = (path.parent / "stored").read_text()
    frames = read_frames(MachineSettings().artifacts / name)
    return f"{len(frames)} frames, {len(frames.atomic_numbers)} atoms"


def build_structures(path: Path) -> str:
    """Load the whole file and build a pymatgen structure of every frame."""
    from pymatgen.core import Structure  # noqa: PLC0415

    with path.open(encoding="utf-8") as file:
        materials = json.load(file)
    structures = [
        Structure.from_dict(frame["structure"])
        for frames in materials.values()
        for frame in frames.values()
    ]
    return f"{len(structures)} structures"


def compare_duplicates(n_frames: int) -> None:
    """Time the rule on duplicates and the authors' loop on the same frames."""
    from nextrung.adapters.sources.registry import read_labels  # noqa: PLC0415
    from nextrung.compute.curation.duplicates import find_unique  # noqa: PLC0415
    from nextrung.schemas.labels.curation import MPTRJ_TOLERANCES  # noqa: PLC0415
    from nextrung.schemas.labels.sources import MptrjJsonSource  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.json"
        write_json(path, n_frames, 0.0)
        frames = read_labels(MptrjJsonSource(paths=(str(path),))).frames
    names = dict.fromkeys(frames.material_ids.tolist())
    materials = [frames[frames.material_ids == name] for name in names]
    kept, seconds = [], []
    for find in (lambda part: find_unique(part, MPTRJ_TOLERANCES), find_naively):
        start = time.process_time()
        kept.append([list(map(int, find(material))) for material in materials])
        seconds.append(time.process_time() - start)
    fast, naive = (second / len(frames) * 1e3 for second in seconds)
    print(
        f"{len(frames)} frames of {len(materials)} materials, kept "
        f"{sum(map(len, kept[0]))}, the same by the loop: {kept[0] == kept[1]}\n"
        f"  rule {fast:.2f} ms/frame, loop {naive:.2f} ms/frame: {naive / fast:.1f}×"
    )
    start = time.process_time()
    find_unique(frames[[0] * n_frames], MPTRJ_TOLERANCES)
    spent = (time.process_time() - start) / n_frames * 1e3
    print(f"  {n_frames} copies of one frame: {spent:.3f} ms/frame")


def find_naively(frames: Frames) -> list[int]:
    """Find the distinct frames of one material as ``QueryMPtrj.md`` does."""
    from pymatgen.analysis.structure_matcher import StructureMatcher  # noqa: PLC0415

    from nextrung.schemas.labels.curation import MPTRJ_TOLERANCES  # noqa: PLC0415

    structures = frames.to_structures()
    energies = frames.energies / frames.n_atoms
    accepted = [len(frames) - 1]
    for index in range(len(frames) - 1):
        level = [t for t in MPTRJ_TOLERANCES if len(accepted) > t.more_than][-1]
        matcher = StructureMatcher(
            ltol=level.length, stol=level.site, angle_tol=level.angle, scale=False
        )
        gaps = [abs(energies[index] - energies[other]) for other in accepted]
        if min(gaps) > level.energy or not any(
            matcher.fit(structures[index], structures[other]) for other in accepted
        ):
            accepted.append(index)
    return sorted(accepted)


def write_json(path: Path, n_frames: int, gap: float) -> int:
    """Write materials until there are enough frames; count the frames."""
    rng = np.random.default_rng(0)
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < n_frames:
            name = f"mp-{written}"
            frames = dict(draw_material(name, rng, gap))
            file.write("{" if not written else ", ")
            file.write(f'"{name}": {json.dumps(frames)}')
            written += len(frames)
        file.write("}")
    return written


def draw_material(
    name: str, rng: np.random.Generator, gap: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Draw the frames of one relaxation."""
    n_frames = int(np.clip(rng.lognormal(np.log(6), 0.53), 1, 47))
    n_atoms = int(np.clip(rng.lognormal(np.log(24), 0.72), 1, 300))
    symbols = rng.choice(rng.choice(SYMBOLS, 3, replace=False), n_atoms).tolist()
    lattice = np.eye(3) * (11 * n_atoms) ** (1 / 3) + rng.normal(scale=0.3, size=(3, 3))
    coords = rng.random((n_atoms, 3))
    start = rng.normal(scale=0.01, size=(n_atoms, 3))
    relaxed, height = rng.uniform(-8, -3), rng.lognormal(np.log(0.1), 1)
    for step in range(n_frames):
        decay = 0.6**step
        structure = make_structure(
            symbols, lattice * (1 + 0.02 * decay), coords + start * decay
        )
        above = height * decay + gap * (n_frames - 1 - step)
        energies = relaxed, relaxed + above
        yield f"{name}-0-{step}", make_frame(structure, energies, rng)


def make_structure(
    symbols: list[str], lattice: np.ndarray[Any, Any], coords: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Make a structure in the layout of pymatgen."""
    sites = [
        {
            "species": [{"element": symbol, "occu": 1}],
            "abc": abc,
            "xyz": xyz,
            "label": symbol,
            "properties": {},
        }
        for symbol, abc, xyz in zip(
            symbols, coords.tolist(), (coords @ lattice).tolist(), strict=True
        )
    ]
    lengths = np.linalg.norm(lattice, axis=1)
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "charge": None,
        "lattice": {
            "matrix": lattice.tolist(),
            "pbc": [True, True, True],
            **dict(zip("abc", lengths.tolist(), strict=True)),
            **dict.fromkeys(("alpha", "beta", "gamma"), 90.0),
            "volume": abs(float(np.linalg.det(lattice))),
        },
        "sites": sites,
    }


def make_frame(
    structure: dict[str, Any], energies: tuple[float, float], rng: np.random.Generator
) -> dict[str, Any]:
    """Make a frame with all keys of MPtrj."""
    relaxed, energy = energies
    n_atoms = len(structure["sites"])
    return {
        "structure": structure,
        "uncorrected_total_energy": energy * n_atoms,
        "corrected_total_energy": (energy - 0.3) * n_atoms,
        "energy_per_atom": energy - 0.3,
        "ef_per_atom": energy + 3,
        "e_per_atom_relaxed": relaxed - 0.3,
        "ef_per_atom_relaxed": relaxed + 3,
        "force": rng.normal(scale=0.1, size=(n_atoms, 3)).round(8).tolist(),
        "stress": rng.normal(scale=10, size=(3, 3)).round(8).tolist(),
        "magmom": rng.random(n_atoms).round(3).tolist(),
        "bandgap": 1.5,
        "mp_id": "mp-0",
    }


if __name__ == "__main__":
    main()
