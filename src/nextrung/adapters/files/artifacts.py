"""Content-addressed files below the artifacts folder of this machine."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from pathlib import Path

from nextrung.atomic_write import atomic_write
from nextrung.schemas.base import Artifact, InputError
from nextrung.settings import MachineSettings


def store_artifact(path: Path, folder: str) -> Artifact:
    """Move a complete file to the path given by the hash of its content.

    Parameters
    ----------
    path : Path
        The file.
    folder : str
        Folder below the artifacts folder, such as ``frames``.
    """
    sha256 = hash_file(path)
    size = path.stat().st_size
    name = Path(folder) / f"{sha256}{''.join(path.suffixes)}"
    target = MachineSettings().artifacts / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.stat().st_dev == target.parent.stat().st_dev:
        path.replace(target)
    else:
        with atomic_write(target) as temporary:
            shutil.move(path, temporary)
    return Artifact(path=name.as_posix(), sha256=sha256, size=size)


def artifact_path(artifact: Artifact) -> Path:
    """Return the path of an artifact on this machine, after a check of its content.

    Parameters
    ----------
    artifact : Artifact
        The artifact.

    Raises
    ------
    InputError
        If the file is missing, or its size or hash differs.
    """
    path = MachineSettings().artifacts / artifact.path
    if not path.is_file():
        raise InputError(f"artifact missing: expected a file at {path}")
    found = path.stat()
    if found.st_size != artifact.size:
        raise InputError(
            f"artifact damaged: expected {artifact.size} bytes, got "
            f"{found.st_size} in {path}"
        )
    sha256 = _hash_version(path, found.st_size, found.st_mtime_ns)
    if sha256 != artifact.sha256:
        raise InputError(
            f"artifact damaged: expected sha256 {artifact.sha256[:12]}…, got "
            f"{sha256[:12]}… in {path}"
        )
    return path


def is_stored(artifact: Artifact) -> bool:
    """Check whether the file of an artifact is on this machine, whatever its content.

    Parameters
    ----------
    artifact : Artifact
        The artifact.
    """
    return (MachineSettings().artifacts / artifact.path).is_file()


def hash_file(path: Path) -> str:
    """Hash the content of a file with SHA-256.

    Parameters
    ----------
    path : Path
        File to read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _hash_version(path: Path, _size: int, _mtime: int) -> str:
    """Hash a file; again only where its size or modification time has changed."""
    return hash_file(path)
