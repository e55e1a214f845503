"""Files named by their content, below the artifacts folder of this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from nextrung.schemas.base import Artifact, InputError
from nextrung.settings import MachineSettings


def store_artifact(path: Path, shelf: str) -> Artifact:
    """Move a finished file to the place its content names.

    Parameters
    ----------
    path : Path
        A complete file; it is gone afterwards.
    shelf : str
        Folder below the artifacts folder, such as ``frames``.

    Returns
    -------
    Artifact
        Where the file is, relative to the artifacts folder, and its hash.
    """
    sha256 = hash_file(path)
    size = path.stat().st_size
    name = Path(shelf) / f"{sha256}{''.join(path.suffixes)}"
    target = MachineSettings().artifacts / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.stat().st_dev != target.parent.stat().st_dev:
        path = Path(shutil.move(path, target.parent / f".{sha256}.{os.getpid()}"))
    path.replace(target)
    return Artifact(path=name.as_posix(), sha256=sha256, size=size)


def artifact_path(artifact: Artifact) -> Path:
    """Find the file of an artifact and verify its content.

    Parameters
    ----------
    artifact : Artifact
        The file that is wanted.

    Returns
    -------
    Path
        Where it is on this machine.

    Raises
    ------
    InputError
        If there is no such file, or its size or hash is another.
    """
    path = MachineSettings().artifacts / artifact.path
    if not path.is_file():
        raise InputError(f"artifact missing: expected a file at {path}")
    if path.stat().st_size != artifact.size:
        raise InputError(
            f"artifact damaged: expected {artifact.size} bytes, got "
            f"{path.stat().st_size} in {path}"
        )
    if (sha256 := hash_file(path)) != artifact.sha256:
        raise InputError(
            f"artifact damaged: expected sha256 {artifact.sha256[:12]}…, got "
            f"{sha256[:12]}… in {path}"
        )
    return path


def hash_file(path: Path) -> str:
    """Hash the content of a file.

    Parameters
    ----------
    path : Path
        File to read.

    Returns
    -------
    str
        Its sha256 in hexadecimal digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
