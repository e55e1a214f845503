"""Paths in study files: expansion of variables, and checks that files exist."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nextrung.schemas.study import StudySettings

#: Keys of settings whose values are paths.
PATH_KEYS = ("paths", "store")

#: Keys of settings whose values are a path or a name.
NAME_KEYS = ("source", "teacher", "source_references", "target_references")

#: Beginnings of paths that do not depend on the working directory.
ABSOLUTE = ("/", "$", "~")


def expand_path(written: str) -> Path:
    """Expand environment variables and the home folder of a path that must exist.

    Parameters
    ----------
    written : str
        Path, such as ``$NEXTRUNG_DATA/runs``.

    Raises
    ------
    InputError
        If a variable is not set or the path does not exist.
    """
    expanded = os.path.expandvars(written)
    if unset := re.search(r"\$\{?(\w+)", expanded):
        raise InputError(f"{written}: the environment variable {unset[1]} is not set")
    path = Path(expanded).expanduser()
    if not path.exists():
        raise InputError(f"{written}: expected a file or folder, got none at {path}")
    return path


def expand_files(written: Sequence[str], kind: str) -> list[Path]:
    """Expand paths that must be files, as :func:`expand_path`.

    Parameters
    ----------
    written : sequence of str
        Paths as in :func:`expand_path`.
    kind : str
        Kind of file for the error message, such as ``a JSON file``.

    Raises
    ------
    InputError
        If a file does not exist or is a folder.
    """
    files = [expand_path(path) for path in written]
    for path in files:
        if not path.is_file():
            raise InputError(f"expected {kind}, got a folder at {path}")
    return files


def require_absolute_paths(settings: StudySettings) -> None:
    """Reject relative paths, since workers run in folders of their own.

    Parameters
    ----------
    settings : StudySettings
        The study.

    Raises
    ------
    InputError
        If a path of the study is relative.
    """
    for where, path in _list_paths(settings.model_dump(mode="json")):
        if not path.startswith(ABSOLUTE):
            raise InputError(
                f"{where}: expected a path that workers find, absolute or with a "
                f"variable of env.sh, got {path}"
            )


def _list_paths(
    settings: dict[str, Any], parent: str = ""
) -> Iterator[tuple[str, str]]:
    """List the paths in nested settings, each with its dotted key."""
    for key, value in settings.items():
        where = f"{parent}{key}"
        if isinstance(value, dict):
            yield from _list_paths(value, f"{where}.")
        elif key in PATH_KEYS:
            written = [value] if isinstance(value, str) else value or ()
            yield from ((where, path) for path in written)
        elif key in NAME_KEYS and isinstance(value, str) and os.sep in value:
            yield where, value
