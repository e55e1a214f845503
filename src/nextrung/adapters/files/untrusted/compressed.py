"""Plain and compressed files; a file that expands without bounds is rejected."""

from __future__ import annotations

import io
import lzma
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from monty.io import zopen

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Exceptions of truncated, invalid and wrongly compressed files.
UNREADABLE = (ValueError, OSError, EOFError, lzma.LZMAError, zlib.error)

#: Suffixes of the files that are decompressed.
SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".lzma", ".z"})

#: Largest ratio of the contents to the file; that of VASP's files is 4 to 30.
MAX_EXPANSION = 100

#: Bytes that the smallest file may expand to.
ALWAYS_ALLOWED = 64 * 2**20

#: Bytes that are decompressed at once.
BLOCK = 2**20


class _Bounded(io.RawIOBase):
    """Bytes of a file, up to a limit."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file = file
        self.path = path
        self.n_left = ALWAYS_ALLOWED + MAX_EXPANSION * path.stat().st_size

    def readable(self) -> bool:
        """Tell that bytes can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read some bytes; raise beyond the limit."""
        block = self.file.read(len(buffer))
        self.n_left -= len(block)
        if self.n_left < 0:
            raise InputError(
                f"{self.path}: expected contents of at most {MAX_EXPANSION} times the "
                f"size of the file, {self.path.stat().st_size} bytes, got more"
            )
        buffer[: len(block)] = block
        return len(block)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, decompressed where its name says so.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    file of bytes
        Contents; reading raises an InputError where a compressed file expands to more
        than :data:`MAX_EXPANSION` times its size.
    """
    with zopen(path, "rb") as file:
        if path.suffix.lower() in SUFFIXES:
            yield io.BufferedReader(_Bounded(file, path), BLOCK)
        else:
            yield file


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a text file as :func:`open_bytes`; invalid bytes are replaced.

    Parameters
    ----------
    path : Path
        The file, UTF-8.

    Yields
    ------
    file of str
        Contents.
    """
    with (
        open_bytes(path) as file,
        io.TextIOWrapper(file, encoding="utf-8", errors="replace") as text,
    ):
        yield text


def require_bounded(path: Path) -> None:
    """Decompress a file without keeping it, for readers that open it themselves.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    InputError
        If it expands too much, as for :func:`open_bytes`.
    """
    if path.suffix.lower() in SUFFIXES:
        with open_bytes(path) as file:
            while file.read(BLOCK):
                pass


def read_text(path: Path) -> str:
    """Read a whole text file.

    Parameters
    ----------
    path : Path
        The file, UTF-8, plain or compressed.

    Raises
    ------
    InputError
        If the file is missing or cannot be read.
    """
    try:
        with open_bytes(path) as file:
            return file.read().decode()
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"expected a file, got no {path}") from error
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected text, got: {reason}") from error
