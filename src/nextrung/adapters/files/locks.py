"""File locks between processes; the kernel releases them when the holder exits."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger("nextrung")

#: Interval between attempts to lock in s.
_INTERVAL: Final = 0.5


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Lock a file; wait while another process holds the lock.

    Parameters
    ----------
    path : Path
        Lock file; created with its folder where it is missing, and kept.

    Notes
    -----
    The lock is a POSIX record lock: the kernel releases it when its process exits, and
    child processes do not inherit it.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            if not _try(file, path):
                logger.warning("%s: another process runs this job; waiting", path)
                while not _try(file, path):
                    time.sleep(_INTERVAL)
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield
                return
        # The holder has removed the folder with this file: lock a new one.


def remove_unlocked(folder: Path) -> None:
    """Remove a folder unless another process holds its lock.

    Parameters
    ----------
    folder : Path
        Folder with a file ``lock``; nothing is removed where that file is missing, or
        on a file system without locks.
    """
    with suppress(OSError), (folder / "lock").open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)


def _try(file: IO[bytes], path: Path) -> bool:
    """Try to lock; continue without a lock where the file system has none."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        logger.warning("%s: no locks on this file system (%s)", path, error.strerror)
    return True
