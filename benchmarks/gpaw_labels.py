"""Crystals, frames and file of the data set that GPAW labels in PBE and r²SCAN.

``crystals`` decorates prototypes with the elements of three chemical systems and relaxes
them by CHGNet, ``frames`` strains and displaces the crystals that GPAW has relaxed,
``convergence`` scores the settings, and ``pack`` writes all labels to one Parquet file.
``workflows/gpaw_labels/README.md`` has the commands.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations, permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nextrung.adapters.files.frames import write_frames
from nextrung.adapters.sources.registry import read_source
from nextrung.compute.decoration import perturb, scale_to_atoms
from nextrung.potentials.registry import load_potential
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import GpawDocumentsSource
from nextrung.schemas.labels.trajectory import Trajectory
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Chemical systems of elements whose data sets have few electrons and low cutoffs.
SYSTEMS = (("Li", "Al", "Si"), ("Li", "Ge", "Te"), ("Li", "As", "Se"))

FCC = np.ones((3, 3)) - np.eye(3)
BCC = np.ones((3, 3)) - 2 * np.eye(3)

#: Lattice vectors and fractional coordinates by structure type; elements in this order.
ELEMENTS = {
    "bcc": (BCC, [[0, 0, 0]]),
    "fcc": (FCC, [[0, 0, 0]]),
    "sc": (2 * np.eye(3), [[0, 0, 0]]),
    "diamond": (FCC, [[0, 0, 0], [0.25] * 3]),
}
BINARIES = {
    "rocksalt": (FCC, "AB", [[0, 0, 0], [0.5] * 3]),
    "zincblende": (FCC, "AB", [[0, 0, 0], [0.25] * 3]),
    "cscl": (np.eye(3), "AB", [[0, 0, 0], [0.5] * 3]),
    "antifluorite": (FCC, "AAB", [[0.25] * 3, [0.75] * 3, [0, 0, 0]]),
    "bif3": (FCC, "AAAB", [[0.25] * 3, [0.75] * 3, [0.5] * 3, [0, 0, 0]]),
}
TERNARIES = {
    "half_heusler": (FCC, "ABC", [[0, 0, 0], [0.5] * 3, [0.25] * 3]),
    "heusler": (FCC, "AABC", [[0.25] * 3, [0.75] * 3, [0, 0, 0], [0.5] * 3]),
}
#: Structure types in which exchanged elements give the same crystal.
SYMMETRIC = {"rocksalt", "zincblende", "cscl"}


def list_crystals() -> Iterator[tuple[str, Structure]]:
    """List crystals of arbitrary volume by name, elements first."""
    for element in sorted({element for system in SYSTEMS for element in system}):
        for name, (lattice, coords) in ELEMENTS.items():
            yield (
                f"{element}-{name}",
                Structure(lattice, [element] * len(coords), coords),
            )
        if element in {"As", "Se", "Te"}:
            yield f"{element}-ground", build_ground_state(element)
    pairs = {pair for system in SYSTEMS for pair in combinations(sorted(system), 2)}
    for pair in sorted(pairs):
        for order in (pair, pair[::-1]):
            for name, (lattice, sites, coords) in BINARIES.items():
                if name not in SYMMETRIC or order == pair:
                    yield decorate(name, lattice, sites, coords, order)
    for system in SYSTEMS:
        for order in permutations(system):
            for name, (lattice, sites, coords) in TERNARIES.items():
                if order[-2] < order[-1] if name == "heusler" else order[0] < order[1]:
                    yield decorate(name, lattice, sites, coords, order)


def decorate(
    name: str, lattice: np.ndarray, sites: str, coords: list, order: Sequence[str]
) -> tuple[str, Structure]:
    """Put elements on the sites of a prototype."""
    species = [order["ABC".index(site)] for site in sites]
    structure = Structure(lattice, species, coords)
    return (
        f"{structure.composition.reduced_formula}-{'-'.join(order)}-{name}",
        structure,
    )


def build_ground_state(element: str) -> Structure:
    """Build the stable crystal of As (A7) or of Se and Te (chains, A8)."""
    if element == "As":
        lattice = Lattice.rhombohedral(1.0, 54.0)
        return Structure(lattice, ["As"] * 2, [[0.227] * 3, [-0.227] * 3])
    lattice = Lattice.hexagonal(1.0, 1.25 if element == "Se" else 1.33)
    u = 0.24
    coords = [[u, 0, 0], [0, u, 1 / 3], [-u, -u, 2 / 3]]
    return Structure(lattice, [element] * 3, coords)


def make_crystals(path: Path) -> None:
    """Relax the crystals by CHGNet from volumes of bond lengths, and write them."""
    crystals = dict(list_crystals())
    scaled = [scale_to_atoms(scale_volume(each)) for each in crystals.values()]
    potential = load_potential("chgnet-0.3.0")
    settings = RelaxationSettings(fmax=0.05, max_steps=200)
    relaxed = {}
    for name, record in zip(crystals, potential.relax(scaled, settings), strict=True):
        converged = record.status is RelaxationStatus.CONVERGED
        if (
            converged
            and record.structure
            and record.structure.volume < 60 * len(record.structure)
        ):
            analyzer = SpacegroupAnalyzer(record.structure, symprec=0.01)
            relaxed[name] = analyzer.get_primitive_standard_structure()
        else:
            print(f"{name}: {record.status} {record.error or ''}")
    write_frames(Frames.from_structures([*relaxed.values()], [*relaxed]), path)
    print(f"{len(relaxed)} crystals")


def scale_volume(structure: Structure) -> Structure:
    """Scale a crystal to 20 Å³ per atom."""
    scaled = structure.copy()
    scaled.scale_lattice(20.0 * len(structure))
    return scaled


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["crystals"])
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args()
    make_crystals(*given.files)
