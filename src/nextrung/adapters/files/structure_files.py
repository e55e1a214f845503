"""Structures and frames as extxyz and CIF files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from pymatgen.io.cif import CifWriter

from nextrung.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.relaxation import RelaxationRecord


def write_relaxed_extxyz(path: Path, records: Mapping[str, RelaxationRecord]) -> None:
    """Write relaxed structures as extxyz.

    Parameters
    ----------
    path : Path
        File to write or replace.
    records : mapping of str to RelaxationRecord
        Relaxations by name; those without a structure are left out.
    """
    images = []
    for name, record in records.items():
        if record.structure is None:
            continue
        atoms = _make_atoms(record.structure)
        ended = record.model_dump(
            mode="json", include={"status", "n_steps", "fmax", "note"}
        )
        known = {key: value for key, value in ended.items() if value is not None}
        atoms.info = {"material_id": name, "frame_id": name} | known
        if record.energy is not None:
            atoms.calc = SinglePointCalculator(atoms, energy=record.energy)
        images.append(atoms)
    _write_images(path, images)


def write_cif(path: Path, structures: Mapping[str, Structure]) -> None:
    """Write structures as one CIF of a data block each, or as a folder of CIFs.

    Parameters
    ----------
    path : Path
        File that ends in ``.cif``, or folder to make.
    structures : mapping of str to Structure
        Structures by name; what names cannot hold becomes an underscore.
    """
    names = _name_blocks(structures)
    blocks = {
        block: re.sub(r"(?m)^data_.*", f"data_{block}", str(CifWriter(structure)))
        for block, structure in zip(names, structures.values(), strict=True)
    }
    if path.suffix == ".cif":
        files = {path: "".join(blocks.values())}
    else:
        path.mkdir(exist_ok=True)
        files = {path / f"{block}.cif": text for block, text in blocks.items()}
    for file, text in files.items():
        with atomic_write(file) as temporary:
            temporary.write_text(text)


def write_predictions(
    path: Path, frames: Frames, *, predicted: Frames, errors: Mapping[int, str]
) -> None:
    """Write frames as extxyz, labels beside predictions.

    Parameters
    ----------
    path : Path
        File to write or replace. Labels have the names that ASE gives results:
        ``energy`` (eV), ``forces`` (eV/Å), ``stress`` (eV/Å³), ``magmoms`` (μ_B);
        predictions the same after ``predicted_``.
    frames : Frames
        Labelled frames.
    predicted : Frames
        The same frames with predictions in place of labels.
    errors : mapping of int to str
        Why a frame has no prediction, by its index.
    """
    images = []
    for index, structure in enumerate(frames.to_structures()):
        atoms = _make_atoms(structure)
        atoms.info = {
            "material_id": str(frames.material_ids[index]),
            "frame_id": str(frames.frame_ids[index]),
        }
        if split := str(frames.splits[index]):  # ASE cannot read an empty text back
            atoms.info["split"] = split
        atoms.calc = SinglePointCalculator(atoms, **_list_labels(frames, index))
        for name, value in _list_labels(predicted, index).items():
            per_atom = name in {"forces", "magmoms"}
            (atoms.arrays if per_atom else atoms.info)[f"predicted_{name}"] = value
        if index in errors:
            atoms.info["error"] = errors[index]
        images.append(atoms)
    _write_images(path, images)


def _list_labels(frames: Frames, index: int) -> dict[str, Any]:
    """List the labels that a frame has, in the units of ASE."""
    sites = slice(*frames.offsets[index : index + 2])
    stress = frames.stresses[index].astype(float) * units.GPa
    labels: dict[str, NDArray[np.floating]] = {
        "energy": frames.energies[index],
        "forces": frames.forces[sites].astype(float),
        "stress": (stress + stress.T).ravel()[[0, 4, 8, 5, 2, 1]] / 2,
        "magmoms": frames.magmoms[sites].astype(float),
    }
    return {
        name: float(value) if name == "energy" else value
        for name, value in labels.items()
        if np.isfinite(value).all()
    }


def _make_atoms(structure: Structure) -> Atoms:
    """Convert an ordered structure."""
    return Atoms(
        numbers=structure.atomic_numbers,
        scaled_positions=structure.frac_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )


def _write_images(path: Path, images: list[Atoms]) -> None:
    """Write an extxyz file."""
    with atomic_write(path) as temporary:
        write(temporary, images, format="extxyz")


def _name_blocks(names: Mapping[str, object]) -> list[str]:
    """Name data blocks: plain characters, no suffix of a file, no name twice."""
    plain = [re.sub(r"\.(cif|vasp|json|xyz)$", "", name) for name in names]
    blocks = [re.sub(r"[^\w.+-]+", "_", name).strip("_") for name in plain]
    return [
        f"{block}_{index}" if blocks.count(block) > 1 else block
        for index, block in enumerate(blocks, start=1)
    ]
