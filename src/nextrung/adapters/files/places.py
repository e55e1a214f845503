"""Paths of a study that hold on every machine alike."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextrung.schemas.study import StudySettings

#: Keys of settings that hold paths alone.
PATH_KEYS = ("paths", "store")

#: Keys of settings that hold a path or a name.
NAME_KEYS = ("source", "teacher", "source_references", "target_references")

#: How paths begin that do not depend on the working directory.
ABSOLUTE = ("/", "$", "~")


def require_absolute_paths(settings: StudySettings) -> None:
    """Refuse paths that a worker, in a folder of its own, would not find.

    Parameters
    ----------
    settings : StudySettings
        The study.

    Raises
    ------
    InputError
        If a path of the study is relative.
    """
    for where, path in _paths(settings.model_dump(mode="json")):
        if not path.startswith(ABSOLUTE):
            raise InputError(
                f"{where}: expected a path that workers find, absolute or with a "
                f"variable of env.sh, met {path}"
            )


def _paths(settings: dict[str, Any], parent: str = "") -> Iterator[tuple[str, str]]:
    """List the paths in a nest of settings, each with its dotted key."""
    for key, value in settings.items():
        where = f"{parent}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{where}.")
        elif key in PATH_KEYS:
            written = [value] if isinstance(value, str) else value or ()
            yield from ((where, path) for path in written)
        elif key in NAME_KEYS and isinstance(value, str) and os.sep in value:
            yield where, value
