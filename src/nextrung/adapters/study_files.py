"""Study files: YAML that is validated whole before anything runs."""

from __future__ import annotations

from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from nextrung.schemas.base import InputError
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

#: What pydantic calls a key that no record knows.
UNKNOWN_KEY = "extra_forbidden"


def read_study(path: Path, overrides: Sequence[str] = ()) -> StudySettings:
    """Read and validate a study file.

    Parameters
    ----------
    path : Path
        YAML file with the fields of :class:`.StudySettings`; the file's own name is
        the default name of the study.
    overrides : sequence of str
        Settings that replace those of the file, such as ``training.epochs=5``; the
        value is YAML.

    Returns
    -------
    StudySettings
        The whole study.

    Raises
    ------
    InputError
        If the file is missing, is no YAML, or holds a key or value that is not known.
    """
    settings = {"name": path.stem} | _load(path)
    for override in overrides:
        _override(settings, override)
    try:
        return StudySettings.model_validate(settings)
    except ValidationError as error:
        wrong = sorted(error.errors(), key=lambda wrong: wrong["type"] != UNKNOWN_KEY)
        raise InputError(f"{path}: {_explain(wrong[0])}") from error


def _load(path: Path) -> dict[str, Any]:
    """Read a YAML mapping."""
    try:
        settings = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise InputError(f"expected a study file, met no {path}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected YAML, met {reason}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: expected keys and values at the top level")
    return settings


def _override(settings: dict[str, Any], override: str) -> None:
    """Set one dotted key."""
    keys, equals, text = override.partition("=")
    if not equals:
        raise InputError(f"--set: expected key.key=value, met {override!r}")
    *parents, last = keys.split(".")
    section = settings
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    try:
        section[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(
            f"--set {keys}: expected a YAML value, met {text!r}"
        ) from error


def _explain(error: ErrorDetails) -> str:
    """Say where a value is wrong, and which known key is nearest to an unknown one."""
    where = ".".join(str(step) for step in error["loc"])
    if error["type"] != UNKNOWN_KEY:
        met = "" if error["type"] == "missing" else f", met {error['input']!r}"
        return f"{where or 'study'}: {_lower(error['msg'])}{met}"
    *parents, unknown = ("", *(str(step) for step in error["loc"]))
    known = list(_known_keys(StudySettings))
    siblings = [key for parent, key in known if parent in parents[-2:]]
    nearest = [
        match
        for keys in (siblings, [key for _, key in known])
        for match in get_close_matches(unknown, keys, 1, cutoff=0.5)
    ]
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"{where}: unknown key{hint}"


def _lower(message: str) -> str:
    """Begin a message of pydantic in lower case, without its prefix."""
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _known_keys(record: type[BaseModel], parent: str = "") -> Iterator[tuple[str, str]]:
    """List the keys of a record and of all below it, each with the key above it."""
    for name, entry in record.model_fields.items():
        yield parent, name
        for nested in _records(entry.annotation):
            yield from _known_keys(nested, name)


def _records(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401
    """Find the records that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, UnionType, Annotated, tuple, list}:
        for argument in get_args(annotation):
            yield from _records(argument)
