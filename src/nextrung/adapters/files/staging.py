"""Folders of unfinished files, which go with the process that has made them."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from nextrung.settings import MachineSettings

#: Beginning of the names of such folders.
PREFIX = ".unfinished-"


class StagingFolder:
    """A folder beside the artifacts that nobody else removes while it is in use.

    Attributes
    ----------
    path : Path
        Where it is.
    """

    def __init__(self) -> None:
        artifacts = MachineSettings().artifacts
        artifacts.mkdir(parents=True, exist_ok=True)
        self.path, self._held = _make_locked(artifacts)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._held)


def remove_stale() -> list[Path]:
    """Remove the folders of processes that are dead.

    Returns
    -------
    list of Path
        The folders that were removed.

    Notes
    -----
    A folder in use is locked; the system unlocks it when its process ends, however
    that ends. Where a file system has no such locks, nothing is removed.
    """
    swept = []
    for folder in MachineSettings().artifacts.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process has it, or has just removed it
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                swept.append(folder)
            finally:
                os.close(handle)
    return swept


def _make_locked(parent: Path) -> tuple[Path, int]:
    """Make a folder and lock it; make another where it was swept in between."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=PREFIX))
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # no locks here, so that nobody sweeps either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():
            return folder, handle
        os.close(handle)
    return _make_locked(parent)
