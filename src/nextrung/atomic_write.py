"""Atomic file writes."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file such that readers and crashes see the old or the new one whole.

    Parameters
    ----------
    path : Path
        File to write or replace, in a folder that exists.

    Yields
    ------
    Path
        Temporary file to write, of the same name in a hidden folder beside the target.
        When the block ends it is flushed to disk and replaces the target; an exception
        removes it, and a block that writes no file leaves the target as it is.
    """
    with TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        if temporary.exists():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
