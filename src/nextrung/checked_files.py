"""Files of unfinished work that end with a checksum of their content."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Final

from nextrung.atomic_write import atomic_write
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger("nextrung")

#: Length of a SHA-256 digest in bytes.
_DIGEST_SIZE: Final = 32
#: Part of the names of damaged files, before their number.
_DAMAGED: Final = "damaged-"


class DamagedFileError(InputError):
    """The content of a file does not have the checksum written with it."""


def append_checksum(content: bytes) -> bytes:
    """Append the SHA-256 of a content.

    Parameters
    ----------
    content : bytes
        Content of a file.

    Returns
    -------
    bytes
        Content that :func:`read_checked` accepts.
    """
    return content + hashlib.sha256(content).digest()


def write_checked(path: Path, content: bytes) -> None:
    """Write a content with its checksum, atomically.

    Parameters
    ----------
    path : Path
        File to write or replace.
    content : bytes
        Content of the file.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(append_checksum(content))


def read_checked(path: Path) -> bytes:
    """Read a content and verify its checksum.

    Parameters
    ----------
    path : Path
        File that ends with the checksum of its content.

    Returns
    -------
    bytes
        The content without its checksum.

    Raises
    ------
    DamagedFileError
        If the checksum is that of another content.
    """
    whole = path.read_bytes()
    content, digest = whole[:-_DIGEST_SIZE], whole[-_DIGEST_SIZE:]
    computed = hashlib.sha256(content).digest()
    if digest != computed:
        raise DamagedFileError(
            f"{path}: expected content of sha256 {digest.hex()[:12]}…, got "
            f"{computed.hex()[:12]}…: the file is damaged"
        )
    return content


def set_aside(path: Path, consequence: str) -> None:
    """Rename a damaged file, and log a warning.

    Parameters
    ----------
    path : Path
        The damaged file.
    consequence : str
        What is computed again, for the warning.
    """
    kept = path.with_name(f"{_DAMAGED}{count_damaged(path.parent) + 1}-{path.name}")
    path.replace(kept)
    logger.warning("%s is damaged, kept as %s; %s", path, kept.name, consequence)


def count_damaged(folder: Path) -> int:
    """Count the damaged files found in a folder so far.

    Parameters
    ----------
    folder : Path
        Folder of unfinished work.

    Returns
    -------
    int
        Number of files that :func:`set_aside` renamed.
    """
    return len(list(folder.glob(f"{_DAMAGED}*")))
