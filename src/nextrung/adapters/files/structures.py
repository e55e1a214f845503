"""Structure files, and structures as artifacts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pymatgen.core import Structure

from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.frames import read_frames
from nextrung.adapters.files.untrusted.compressed import require_bounded
from nextrung.adapters.files.untrusted.msonable import decode_materials, load_plain
from nextrung.schemas.base import Artifact, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


#: Names of files that pymatgen decodes with the decoder of monty.
_TAGGED = re.compile(r"\.(?:json|mson|ya?ml)")


def read_structures(paths: Sequence[Path]) -> dict[str, Structure]:
    """Read structures of any format of pymatgen, or of frames files, by name.

    Parameters
    ----------
    paths : sequence of Path
        Structure files, whose stem is the name, or frames files.

    Raises
    ------
    InputError
        If a file has no structure, or two structures have the same name.
    """
    found: dict[str, Structure] = {}
    for path in paths:
        for name, structure in _read_named(path):
            if name in found:
                raise InputError(f"expected unique names, got {name!r} again in {path}")
            found[name] = structure
    return found


def read_material_ids(paths: Sequence[Path]) -> dict[str, str]:
    """Read the material of every frame in frames files.

    Parameters
    ----------
    paths : sequence of Path
        Files as in :func:`read_structures`; only frames files name materials.

    Returns
    -------
    dict of str to str
        Material by frame id.
    """
    material_ids: dict[str, str] = {}
    for path in paths:
        if path.suffix == ".parquet":
            frames = read_frames(path)
            named = zip(frames.frame_ids, frames.material_ids, strict=True)
            material_ids |= {str(frame): str(material) for frame, material in named}
    return material_ids


def read_structure(path: Path) -> Structure:
    """Read a structure of any format of pymatgen.

    Parameters
    ----------
    path : Path
        CIF, POSCAR or another file of one structure.

    Raises
    ------
    InputError
        If the file has no structure.
    """
    if _TAGGED.search(path.name.lower()):
        return _read_tagged(path)
    try:
        require_bounded(path)
        return Structure.from_file(path)
    except Exception as error:  # parsers of pymatgen raise all kinds of exceptions
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"expected a structure in {path}, got: {reason}") from error


def store_structure(structure: Structure) -> Artifact:
    """Store a structure as an artifact; equal structures share a file.

    Parameters
    ----------
    structure : Structure
        Structure with its site properties, such as magnetic moments.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "structure.json"
        path.write_text(json.dumps(structure.as_dict(), sort_keys=True))
        return store_artifact(path, "structures")


def load_structure(artifact: Artifact) -> Structure:
    """Load a structure from an artifact.

    Parameters
    ----------
    artifact : Artifact
        Its file.
    """
    return Structure.from_dict(json.loads(artifact_path(artifact).read_text()))


def _read_tagged(path: Path) -> Structure:
    """Read a structure that pymatgen has written as JSON or YAML."""
    plain = load_plain(path)
    if not isinstance(plain, dict) or not {"lattice", "sites"} <= plain.keys():
        raise InputError(
            f"expected a structure in {path}, got values without lattice and sites"
        )
    tags = {"@module": "pymatgen.core.structure", "@class": "Structure"}
    read: Structure = decode_materials(plain | tags, path)
    return read


def _read_named(path: Path) -> Sequence[tuple[str, Structure]]:
    """Read the structures of one file with their names."""
    if path.suffix == ".parquet":
        frames = read_frames(path)
        return [*zip(frames.frame_ids.tolist(), frames.to_structures(), strict=True)]
    return [(path.stem, read_structure(path))]
