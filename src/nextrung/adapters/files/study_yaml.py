"""Reader of study files, which are validated completely before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextrung.adapters.files.yaml_records import (
    load_yaml,
    parse_yaml,
    validate_record,
)
from nextrung.schemas.base import InputError, quote
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_study(path: Path, overrides: Sequence[str] = ()) -> StudySettings:
    """Read and validate a study file.

    Parameters
    ----------
    path : Path
        YAML file with the fields of :class:`.StudySettings`; the default name of the
        study is the stem of the file name.
    overrides : sequence of str
        Settings that replace those of the file, such as ``training.epochs=5``, with
        YAML values.

    Raises
    ------
    InputError
        If the file is missing or not YAML, or a key or value is invalid.
    """
    settings = {"name": path.stem} | load_yaml(path, "study file")
    for override in overrides:
        _override(settings, override)
    return validate_record(StudySettings, settings, path)


def _override(settings: dict[str, Any], override: str) -> None:
    """Set one dotted key."""
    keys, equals, text = override.partition("=")
    if not equals:
        raise InputError(f"--set: expected key.key=value, got {override!r}")
    *parents, last = keys.split(".")
    section = settings
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    try:
        section[last] = parse_yaml(text)
    except ValueError as error:
        raise InputError(
            f"--set {keys}: expected a YAML value, got {quote(text)}"
        ) from error
