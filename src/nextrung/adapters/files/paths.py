"""Paths as studies write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nextrung.schemas.base import InputError


def expand_path(written: str) -> Path:
    """Expand environment variables and the home folder of a path that must exist.

    Parameters
    ----------
    written : str
        Path, such as ``$NEXTRUNG_DATA/runs``.

    Returns
    -------
    Path
        The file or folder.

    Raises
    ------
    InputError
        If a variable is not set or there is nothing at the path.
    """
    expanded = os.path.expandvars(written)
    if unset := re.search(r"\$\{?(\w+)", expanded):
        raise InputError(f"{written}: the environment variable {unset[1]} is not set")
    path = Path(expanded).expanduser()
    if not path.exists():
        raise InputError(f"{written}: expected a file or folder, met none at {path}")
    return path
