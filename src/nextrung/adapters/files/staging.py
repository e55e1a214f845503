"""Staging folders, and removal of those whose process was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from nextrung.settings import MachineSettings

#: Prefix of the names of staging folders.
PREFIX = ".staging-"


class StagingFolder:
    """Locked folder for incomplete files, beside the artifacts.

    Attributes
    ----------
    path : Path
        The folder.
    """

    def __init__(self) -> None:
        artifacts = MachineSettings().artifacts
        artifacts.mkdir(parents=True, exist_ok=True)
        self.path, self._handle = _make_locked(artifacts)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder with its files."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._handle)


def remove_stale() -> list[Path]:
    """Remove the staging folders of processes that no longer run; return them.

    Notes
    -----
    A folder in use is locked, and the kernel unlocks it when its process exits. Nothing
    is removed on a file system without locks.
    """
    removed = []
    for folder in MachineSettings().artifacts.glob(f"{PREFIX}*"):
        with suppress(OSError):  # in use, or just removed by another process
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed.append(folder)
            finally:
                os.close(handle)
    return removed


def _make_locked(parent: Path) -> tuple[Path, int]:
    """Create and lock a folder; create another if it was removed in between."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=PREFIX))
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # no locks: then remove_stale removes nothing
            fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():
            return folder, handle
        os.close(handle)
    return _make_locked(parent)
