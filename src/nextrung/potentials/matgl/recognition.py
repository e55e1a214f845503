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
    if not tarfile.is_tarfile(path):
        return False
    with tarfile.open(path) as archive:
        return set(NAMES) <= set(archive.getnames())
