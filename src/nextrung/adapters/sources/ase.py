"""Reader of labelled structures in files of ASE: extxyz and ASE databases."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from ase.db import connect
from ase.io import iread
from ase.stress import voigt_6_to_full_3x3_stress
from pymatgen.core import Structure

from nextrung.adapters.files.paths import expand_files
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import AseSource, LastFrame, StressUnit
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


#: Factors that convert stresses of a source to GPa, compression negative.
GPA_PER = {
    StressUnit.EV_PER_CUBIC_ANGSTROM: 1 / units.GPa,
    StressUnit.GPA: 1.0,
    StressUnit.VASP_KBAR: -0.1,
}

#: Components of a stress in ASE's Voigt order: xx, yy, zz, yz, xz, xy.
N_VOIGT = 6


@dataclass(frozen=True, eq=False)
class _Named:
    """A structure with the names of its frame and material."""

    atoms: Atoms
    frame_id: str
    material_id: str


def read_ase(
    source: AseSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory]:
    """Read the files of a source; consecutive frames of one material form a run.

    Parameters
    ----------
    source : AseSource
        Paths of the files and keys of the labels.
    on_progress : callable
        Receives the number of files read, of all files, and the name of the next.

    Raises
    ------
    InputError
        If a file cannot be read, lacks a name, or has a label of another type or shape
        than its property.
    """
    files = expand_files(source.paths, "a file that ASE reads")
    for index, path in enumerate(files):
        on_progress(index, len(files), path.name)
        named = _name(_read_atoms(path), source, path)
        for _, group in groupby(named, key=lambda item: item.material_id):
            frames = Frames.concatenate([_to_frame(item, source) for item in group])
            relaxed = source.last_frame is LastFrame.RELAXED
            final = frames.energies[-1] / frames.n_atoms[-1]
            yield Trajectory(
                frames=frames,
                converged=np.full(len(frames), fill_value=True),
                relaxed_energy=float(final) if relaxed else np.nan,
            )


def _read_atoms(path: Path) -> Iterator[Atoms]:
    """Read the structures of a file one after another."""
    try:
        if path.suffix == ".db":
            for row in connect(path).select():
                yield row.toatoms(add_additional_information=True)
        else:
            yield from iread(path, index=":")
    except Exception as error:
        found = f"{type(error).__name__} in {path}"
        raise InputError(
            "expected a file that ASE reads, got "
            + ": ".join(filter(None, (found, str(error))))
        ) from error


def _name(
    atoms_of_file: Iterator[Atoms], source: AseSource, path: Path
) -> Iterator[_Named]:
    """Find the names of frame and material of every structure, or make them up.

    Where a file lacks the default keys, frames are numbered, and those of one formula
    are one material, so that no split takes a trajectory apart.
    """
    fields = AseSource.model_fields
    unnamed = set()
    for index, atoms in enumerate(atoms_of_file):
        number = f"{path.name}#{index}"
        formula = f"{path.name} {atoms.get_chemical_formula(empirical=True)}"
        names = [number, number]
        for which, (field, made_up) in enumerate(
            (("frame_id_key", number), ("material_id_key", formula))
        ):
            if (key := getattr(source, field)) is None:
                continue
            if (name := _look_up(atoms, key)) is None:
                if key != fields[field].default:
                    raise InputError(f"expected the key {key!r}, got none in {number}")
                unnamed.add(key)
            names[which] = made_up if name is None else str(name)
        yield _Named(atoms, frame_id=names[0], material_id=names[1])
    if unnamed:
        warnings.warn(
            f"{path.name} has no {' and no '.join(sorted(unnamed))}: frames are named "
            "by their number, materials by their formula",
            stacklevel=2,
        )


def _look_up(atoms: Atoms, key: str) -> Any:  # noqa: ANN401
    """Find a value by its key in the results, info and arrays of a structure."""
    results = {} if atoms.calc is None else atoms.calc.results
    info = atoms.info
    for values in (
        results,
        info,
        info.get("key_value_pairs", {}),
        info.get("data", {}),
        atoms.arrays,
    ):
        if key in values:
            return values[key]
    return None


def _to_frame(named: _Named, source: AseSource) -> Frames:
    """Convert a structure to a labelled frame."""
    atoms, n_atoms = named.atoms, len(named.atoms)
    if not atoms.pbc.all() or not atoms.cell.volume:
        raise InputError(
            f"frame {named.frame_id}: expected a crystal, got a cell that is not "
            "periodic in three directions"
        )
    if "occupancy" in atoms.info:
        raise InputError(
            f"frame {named.frame_id}: expected an ordered structure, got partial "
            "occupancy"
        )
    structure = Structure(
        atoms.cell.array, atoms.numbers, atoms.get_scaled_positions(wrap=False)
    )
    frame = Frames.from_structures(
        [structure], [named.frame_id], functional=source.functional
    )
    return replace(
        frame,
        material_ids=np.array([named.material_id]),
        energies=_label(named, source.energy_key, ()).reshape(1),
        forces=_label(named, source.forces_key, (n_atoms, 3)).astype(np.float32),
        magmoms=_label(named, source.magmoms_key, (n_atoms,)).astype(np.float32),
        stresses=_stress(named, source)[None].astype(np.float32),
    )


def _label(named: _Named, key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Read a label; NaN where the structure has none."""
    value = _look_up(named.atoms, key)
    if value is None:
        return np.full(shape, np.nan)
    label = np.asarray(value, dtype=np.float64)
    if label.shape != shape:
        raise InputError(
            f"frame {named.frame_id}: expected {key} of shape {shape}, got "
            f"{label.shape}"
        )
    if not np.isfinite(label).all():
        raise InputError(f"frame {named.frame_id}: expected numbers in {key}, got NaN")
    return label


def _stress(named: _Named, source: AseSource) -> NDArray[np.float64]:
    """Read the stress, of any layout, in GPa; NaN where the structure has none."""
    value = _look_up(named.atoms, source.stress_key)
    if value is not None and np.size(value) == N_VOIGT:
        voigt = _label(named, source.stress_key, (N_VOIGT,))
        stress = voigt_6_to_full_3x3_stress(voigt)
    elif np.shape(value) == (9,):
        stress = _label(named, source.stress_key, (9,)).reshape(3, 3)
    else:
        stress = _label(named, source.stress_key, (3, 3))
    converted: NDArray[np.float64] = GPA_PER[source.stress_unit] * stress
    return converted
