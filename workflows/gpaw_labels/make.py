"""Crystals, frames and file of the data set that GPAW labels in PBE and r²SCAN.

Usage, step by step as in ``workflows/gpaw_labels/run.sh``::

    make.py crystals crystals.parquet
    make.py frames RELAXED_RUN FOLDER
    make.py pack PBE_RUN R2SCAN_RUN gpaw.parquet

``crystals`` decorates prototypes with the elements of three chemical systems and
relaxes most by CHGNet; ``frames`` writes the crystals that GPAW has relaxed, and
strained and displaced copies; ``pack`` writes the frames that both functionals have
labelled.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import defaultdict
from itertools import combinations, permutations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nextrung.adapters.files.frames import write_frames
from nextrung.adapters.sources.label_files import write_label_file
from nextrung.adapters.sources.registry import read_source, source_digest
from nextrung.compute.decoration import scale_to_atoms
from nextrung.potentials.registry import load_potential
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import GpawDocumentsSource, RelaxedFrame
from nextrung.schemas.labels.trajectory import Trajectory
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

#: Chemical systems of elements with few valence electrons and low cutoffs.
SYSTEMS = (("Li", "Al", "Si"), ("Li", "Ge", "Te"), ("Li", "As", "Se"))

FCC = np.ones((3, 3)) - np.eye(3)
BCC = np.ones((3, 3)) - 2 * np.eye(3)

#: Lattice vectors and fractional coordinates by structure type.
ELEMENTS: Mapping[str, tuple[Any, list[list[float]]]] = {
    "bcc": (BCC, [[0, 0, 0]]),
    "fcc": (FCC, [[0, 0, 0]]),
    "sc": (2 * np.eye(3), [[0, 0, 0]]),
    "diamond": (FCC, [[0, 0, 0], [0.25] * 3]),
}
#: Lattice vectors, elements of the sites and fractional coordinates.
COMPOUNDS: Mapping[str, tuple[Any, str, list[list[float]]]] = {
    "rocksalt": (FCC, "AB", [[0, 0, 0], [0.5] * 3]),
    "zincblende": (FCC, "AB", [[0, 0, 0], [0.25] * 3]),
    "cscl": (np.eye(3), "AB", [[0, 0, 0], [0.5] * 3]),
    "antifluorite": (FCC, "AAB", [[0.25] * 3, [0.75] * 3, [0, 0, 0]]),
    "bif3": (FCC, "AAAB", [[0.25] * 3, [0.75] * 3, [0.5] * 3, [0, 0, 0]]),
    "half_heusler": (FCC, "ABC", [[0, 0, 0], [0.5] * 3, [0.25] * 3]),
    "heusler": (FCC, "AABC", [[0.25] * 3, [0.75] * 3, [0, 0, 0], [0.5] * 3]),
}
#: Crystals of lowest energy that are kept of one composition.
N_POLYMORPHS = 2

#: Elements that are exchanged without another crystal, by structure type.
EQUIVALENT = {
    "rocksalt": (0, 1),
    "zincblende": (0, 1),
    "cscl": (0, 1),
    "half_heusler": (0, 1),
    "heusler": (1, 2),
}
#: Largest strain, and standard deviation of displacements in Å.
STRAIN, DISPLACEMENT = 0.03, 0.1

#: Directions of displacements and strains by turns: axes of cubic crystals, along which
#: a few symmetries are kept, so that GPAW needs a few times fewer k-points.
DIRECTIONS = ((1, 1, 1), (1, 0, 0), (1, 1, 0))

#: Largest file that the package ships, in bytes.
MAX_BYTES = 1_000_000

#: Volumes of strained crystals relative to the relaxed one.
VOLUMES = (0.94, 1.06)


def list_crystals() -> Iterator[tuple[str, Structure]]:
    """List crystals of arbitrary volume by name, elements first."""
    elements = sorted({element for system in SYSTEMS for element in system})
    for element, (name, (lattice, coords)) in product(elements, ELEMENTS.items()):
        yield f"{element}-{name}", Structure(lattice, [element] * len(coords), coords)
    chosen = {
        order
        for system in SYSTEMS
        for size in (2, 3)
        for part in combinations(sorted(system), size)
        for order in permutations(part)
    }
    for order, (name, (lattice, sites, coords)) in product(
        sorted(chosen), COMPOUNDS.items()
    ):
        first, second = EQUIVALENT.get(name, (0, 0))
        if len(set(sites)) == len(order) and order[first] <= order[second]:
            species = [order["ABC".index(site)] for site in sites]
            yield f"{'-'.join(order)}-{name}", Structure(lattice, species, coords)


def build_ground_state(element: str) -> Structure:
    """Build the stable crystal of As (A7) or of Se and Te (A8), as measured.

    CHGNet moves their layers and chains apart, so GPAW relaxes them from here.
    """
    if element == "As":
        lattice = Lattice.rhombohedral(4.13, 54.1)
        return Structure(lattice, ["As"] * 2, [[0.227] * 3, [-0.227] * 3])
    a, c, u = (4.37, 4.95, 0.225) if element == "Se" else (4.46, 5.92, 0.264)
    coords = [[u, 0, 0], [0, u, 1 / 3], [-u, -u, 2 / 3]]
    return Structure(Lattice.hexagonal(a, c), [element] * 3, coords)


def make_crystals(path: Path) -> None:
    """Relax the crystals by CHGNet, and write the lowest of each composition."""
    crystals = dict(list_crystals())
    for structure in crystals.values():
        structure.scale_lattice(20.0 * len(structure))
    scaled = [scale_to_atoms(structure) for structure in crystals.values()]
    settings = RelaxationSettings(fmax=0.05, max_steps=200)
    records = load_potential("chgnet-0.3.0").relax(scaled, settings)
    polymorphs: dict[str, list[tuple[float, str, Structure]]] = defaultdict(list)
    for name, record in zip(crystals, records, strict=True):
        structure = record.structure
        if record.status is not RelaxationStatus.CONVERGED or structure is None:
            print(f"{name}: {record.status} {record.error or ''}")
            continue
        symmetric = SpacegroupAnalyzer(
            structure, 0.01
        ).get_primitive_standard_structure()
        energy = (record.energy or 0.0) / len(structure)
        formula = symmetric.composition.reduced_formula
        polymorphs[formula].append((energy, f"{formula}-{name}", symmetric))
    kept = {
        name: structure
        for listed in polymorphs.values()
        for _, name, structure in sorted(listed, key=lambda item: item[0])[
            :N_POLYMORPHS
        ]
    }
    kept |= {f"{key}-ground": build_ground_state(key) for key in ("As", "Se", "Te")}
    write_frames(Frames.from_structures([*kept.values()], [*kept]), path)
    print(f"{len(kept)} crystals of {len(polymorphs)} compositions")


def first_of(item: tuple[float, str, Structure]) -> float:
    """Return the energy of a crystal."""
    return item[0]


def make_frames(run: Path, folder: Path) -> None:
    """Write the relaxed crystals, half of them strained, and displaced ones."""
    rng = np.random.default_rng(0)
    stages: dict[str, dict[str, tuple[str, Structure]]] = defaultdict(dict)
    for index, (name, structure) in enumerate(sorted(read_relaxed(run).items())):
        stages["1_relaxed"][f"{name}#0"] = name, structure
        if index % 2 == 0:
            strained = structure.copy()
            volume = VOLUMES[index // 2 % len(VOLUMES)]
            strained.scale_lattice(structure.volume * volume)
            stages["2_strained"][f"{name}#1"] = name, strained
        if len(structure) > 1:
            direction = np.array(DIRECTIONS[index % len(DIRECTIONS)], dtype=float)
            moved = displace(structure, direction / np.linalg.norm(direction), rng)
            stages["3_displaced"][f"{name}#2"] = name, moved
    for stage, listed in stages.items():
        write_named(listed, folder / f"{stage}.parquet")


def displace(
    structure: Structure, direction: NDArray[np.float64], rng: np.random.Generator
) -> Structure:
    """Displace atoms along a direction, and strain the cell along and across it."""
    along, across = rng.uniform(-STRAIN, STRAIN, 2)
    parallel = np.outer(direction, direction)
    strain = along * parallel + across * (np.eye(3) - parallel)
    shifts = rng.normal(0, DISPLACEMENT, len(structure))
    shifts -= shifts.mean()
    lattice = structure.lattice.matrix @ (np.eye(3) + strain)
    coords = structure.frac_coords @ lattice + np.outer(shifts, direction)
    return Structure(lattice, structure.species, coords, coords_are_cartesian=True)


def read_relaxed(run: Path) -> dict[str, Structure]:
    """Read the crystals of a run whose relaxation converged, by name."""
    return {
        each.material_id: each.frames[-1:].to_structures()[0]
        for each in read_runs(run, RelaxedFrame.RELAXATION)
        if np.isfinite(each.relaxed_energy)
    }


def write_named(listed: Mapping[str, tuple[str, Structure]], path: Path) -> None:
    """Write structures with the names of frame and material."""
    structures = [structure for _, structure in listed.values()]
    frames = Frames.from_structures(structures, [*listed])
    materials = np.array([material for material, _ in listed.values()])
    write_frames(Frames(**vars(frames) | {"material_ids": materials}), path)
    print(f"{path}: {len(frames)} frames")


def pack(pbe: Path, r2scan: Path, path: Path) -> None:
    """Write the frames that both functionals have labelled, with their provenance."""
    folders = {"PBE": pbe, "r2SCAN": r2scan}
    lowest = RelaxedFrame.LOWEST_ENERGY
    runs = {key: read_runs(run, lowest) for key, run in folders.items()}
    names = {key: {name_frame(run) for run in found} for key, found in runs.items()}
    both = set.intersection(*names.values())
    provenance = {
        "made_by": "workflows/gpaw_labels/run.sh",
        "runs": {
            key: source_digest(open_run(run, lowest)) for key, run in folders.items()
        },
    }
    for functional, found in runs.items():
        target = path.with_name(f"{path.stem}-{functional.lower()}.parquet")
        kept = [run for run in found if name_frame(run) in both]
        write_label_file(kept, target, provenance)
        size = target.stat().st_size
        if size > MAX_BYTES:
            raise SystemExit(
                f"expected at most {MAX_BYTES} bytes, got {size}: {target}"
            )
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        print(f"{target}: {len(kept)} frames, {size} bytes, {digest}")


def name_frame(run: Trajectory) -> str:
    """Name the frame of a single point."""
    return str(run.frames.frame_ids[0])


def open_run(run: Path, relaxed_frame: RelaxedFrame) -> GpawDocumentsSource:
    """Describe a run folder as a source."""
    return GpawDocumentsSource(paths=(str(run),), relaxed_frame=relaxed_frame)


def read_runs(run: Path, relaxed_frame: RelaxedFrame) -> list[Trajectory]:
    """Read the calculations of a run folder; print those that failed."""
    found = []
    for each in read_source(open_run(run, relaxed_frame), lambda *_: None):
        if isinstance(each, Trajectory):
            found.append(each)
        else:
            print(f"{each.frame_id}: {each.reason}")
    return found


STEPS = {
    "crystals": make_crystals,
    "frames": make_frames,
    "pack": pack,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args()
    STEPS[given.step](*given.files)
