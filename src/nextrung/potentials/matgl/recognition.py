"""Recognition of matgl's files, without matgl."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Files of a model.
NAMES = ("model.pt", "state.pt", "model.json")


def holds_matgl(path: Path) -> bool:
    """Return whether a folder or an archive has the files of a model of matgl.

    Parameters
    ----------
    path : Path
        Folder or file.
    """
    if path.is_dir():
        return all((path / name).is_file() for name in NAMES)
    try:
        with open_archive(path) as archive:
            return set(NAMES) <= set(archive.getnames())
    except (OSError, tarfile.TarError):
        return False


def open_archive(path: Path) -> tarfile.TarFile:
    """Open an archive that is not compressed, so that it holds no more than its size.

    Parameters
    ----------
    path : Path
        The archive.
    """
    return tarfile.open(path, "r:")
