"""Convergence of the single points of the data set on ten crystals.

Usage: ``converge.py crystals.parquet single_point.yaml convergence.jsonl``. Each
crystal is calculated with the settings, with a higher cutoff and with more k-points, in
PBE and r²SCAN; one line per calculation, of which a later call makes those that are
missing. It prints by how much formation energies, forces and stresses change.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import GPa

from nextrung.adapters.files.frames import read_frames
from nextrung.adapters.files.yaml_records import load_yaml, validate_record
from nextrung.adapters.gpaw.calculation import run_gpaw
from nextrung.schemas.labels.gpaw import GpawSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pymatgen.core import Structure

#: Elements, whose crystals are the references, and compounds.
ELEMENTS = {
    "Li": "Li-bcc",
    "Al": "Al-fcc",
    "Si": "Si-diamond",
    "Ge": "Ge-diamond",
    "Te": "ground",
}
COMPOUNDS = ("LiAl", "AlSi", "Li2Te", "GeTe", "LiAlSi")

#: Factors of cutoff and k-point density.
VARIANTS = {"chosen": (1.0, 1.0), "cutoff": (1.4, 1.0), "k_points": (1.0, 1.5)}

#: Displacement of the first atom of a compound along the diagonal of the cell in Å.
DISPLACEMENT = 0.1


def choose_crystals(path: Path) -> dict[str, Structure]:
    """Choose ten crystals; of compounds the first atom is displaced."""
    frames = read_frames(path)
    crystals = dict(zip(frames.frame_ids.tolist(), frames.to_structures(), strict=True))
    chosen = {key: crystals[f"{key}-{name}"] for key, name in ELEMENTS.items()}
    for formula in COMPOUNDS:
        name = next(name for name in crystals if name.split("-")[0] == formula)
        diagonal = crystals[name].lattice.matrix.sum(axis=0)
        shift = DISPLACEMENT * diagonal / np.linalg.norm(diagonal)
        moved = crystals[name].copy()
        chosen[formula] = moved.translate_sites([0], shift, frac_coords=False)
    return chosen


def calculate(
    crystals: Mapping[str, Structure], base: GpawSettings, path: Path
) -> None:
    """Make the missing calculations, and append one line each."""
    done = {(row["name"], row["functional"], row["variant"]) for row in read(path)}
    for functional, variant, name in product(("PBE", "r2SCAN"), VARIANTS, crystals):
        if (name, functional, variant) in done:
            continue
        cutoff, density = VARIANTS[variant]
        settings = base.model_copy(
            update={
                "functional": functional,
                "plane_wave_cutoff": cutoff * base.plane_wave_cutoff,
                "k_point_density": density * base.k_point_density,
            }
        )
        with TemporaryDirectory() as folder:
            run = run_gpaw(crystals[name], settings, Path(folder))
        row = {"name": name, "functional": functional, "variant": variant}
        row |= run.steps[0] | {"seconds": run.seconds}
        row["composition"] = crystals[name].composition.as_dict()
        row["k_points"] = run.calculation.k_points
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Read the lines that are there."""
    return list(map(json.loads, path.read_text().splitlines())) if path.exists() else []


def report(path: Path) -> None:
    """Print the changes of energies, forces and stresses, and of their differences."""
    rows = {(r["functional"], r["variant"], r["name"]): r for r in read(path)}
    print(
        "functional variant  name   meV/atom (total)  meV/atom (formation)  meV/Å  GPa"
    )
    changes = {
        key: find_change(rows, key) for key in rows if key[1] != next(iter(VARIANTS))
    }
    for key, change in changes.items():
        print_change(key, change)
    for key, change in changes.items():
        if key[0] == "r2SCAN":
            difference = change - changes["PBE", *key[1:]]
            print_change(("difference", *key[1:]), difference)


def find_change(
    rows: Mapping[tuple[str, str, str], Any], key: tuple[str, str, str]
) -> NDArray[np.float64]:
    """Find the changes in meV/atom (total, formation), meV/Å and GPa."""
    functional, variant, name = key
    chosen = next(iter(VARIANTS))
    old, new = (rows[functional, each, name] for each in (chosen, variant))
    formation = formation_energy(rows, functional, variant, name)
    formation -= formation_energy(rows, functional, chosen, name)
    return np.concatenate(
        [
            [1000 * (per_atom(new) - per_atom(old)), 1000 * formation],
            1000 * np.subtract(new["forces"], old["forces"]).ravel(),
            np.subtract(new["stress"], old["stress"]) / GPa,
        ]
    )


def print_change(key: tuple[str, str, str], change: NDArray[np.float64]) -> None:
    """Print a change; of forces and stresses the largest component."""
    functional, variant, name = key
    total, formation = change[:2]
    forces, stress = (np.abs(part).max() for part in (change[2:-6], change[-6:]))
    print(
        f"{functional:10} {variant:8} {name:7} {total:8.2f} {formation:8.2f} "
        f"{forces:8.2f} {stress:8.2f}"
    )


def per_atom(row: Mapping[str, Any]) -> float:
    """Energy in eV/atom."""
    energy: float = row["energy"] / len(row["forces"])
    return energy


def formation_energy(rows: Mapping[tuple[str, str, str], Any], *key: str) -> float:
    """Energy in eV/atom above the elements with the same settings."""
    functional, variant, name = key
    composition = rows[functional, variant, name]["composition"]
    n_atoms = sum(composition.values())
    elements = sum(
        count * per_atom(rows[functional, variant, element])
        for element, count in composition.items()
    )
    return per_atom(rows[functional, variant, name]) - elements / n_atoms


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs=3, type=Path)
    crystals_file, settings_file, output = parser.parse_args().files
    chosen_settings = validate_record(
        GpawSettings, load_yaml(settings_file, "settings file"), settings_file
    )
    calculate(choose_crystals(crystals_file), chosen_settings, output)
    report(output)
