"""Files that one process at a time may hold; the system frees those of the dead."""

from __future__ import annotations

import fcntl
import logging
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger("nextrung")

#: How long to wait before a lock is tried again, in s.
_PULSE: Final = 0.5


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a file; wait for as long as another process does.

    Parameters
    ----------
    path : Path
        File of the lock, which is made where there is none and stays.

    Yields
    ------
    None
        While the file is held.

    Notes
    -----
    The lock is a POSIX record lock: it ends with its process, however that ends, and
    child processes have no part in it.
    """
    with path.open("ab") as file:
        if not _try(file, path):
            logger.warning("%s: another process is at this job; waiting", path)
            while not _try(file, path):
                time.sleep(_PULSE)
        yield


def _try(file: IO[bytes], path: Path) -> bool:
    """Take a lock, unless another process has it; go on where there are no locks."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        logger.warning("%s: no locks on this file system (%s)", path, error.strerror)
    return True
