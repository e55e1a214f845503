"""Copies of embedded stores without write permission."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from typing import Any


def is_writable(folder: Path) -> bool:
    """Check that this process may write a folder and all that is in it.

    Parameters
    ----------
    folder : Path
        The folder.
    """
    return all(os.access(path, os.W_OK) for path in (folder, *folder.rglob("*")))


def copy_store(folder: Path) -> TemporaryDirectory[Any]:
    """Copy the folder of a store into a temporary folder: sqlite writes to read.

    Parameters
    ----------
    folder : Path
        Folder of the store, of which the copy has the name.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    copied = TemporaryDirectory(prefix="nextrung-")
    try:
        for path in sorted(folder.rglob("*")):
            target = Path(copied.name) / folder.name / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                copyfile(path, target)
    except OSError as error:
        copied.cleanup()
        raise InputError(
            f"expected a store that can be read, got {folder}: {error.strerror}"
        ) from error
    return copied
