"""Records read from YAML, validated whole; an unknown key names the nearest one."""

from __future__ import annotations

from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from nextrung.schemas.base import InputError, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

#: What pydantic calls a key that no record knows.
UNKNOWN_KEY = "extra_forbidden"

_Record = TypeVar("_Record", bound=Record)


def load_yaml(path: Path, kind: str) -> dict[str, Any]:
    """Read a YAML mapping.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What the file is, for messages.

    Returns
    -------
    dict
        Its keys and values.

    Raises
    ------
    InputError
        If the file is missing, is no YAML, or holds no mapping.
    """
    try:
        settings = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise InputError(f"expected a {kind}, got no {path}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected YAML, got {reason}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: expected keys and values at the top level")
    return settings


def validate_record(
    record: type[_Record], settings: dict[str, Any], path: Path | str
) -> _Record:
    """Turn the keys and values of a file into a record.

    Parameters
    ----------
    record : type of Record
        What the file describes.
    settings : dict
        Its keys and values.
    path : Path or str
        The file, or what else holds them, for messages.

    Returns
    -------
    Record
        The record.

    Raises
    ------
    InputError
        If a key or a value is not known: one line, an unknown key first.
    """
    try:
        return record.model_validate(settings)
    except ValidationError as error:
        wrong = sorted(error.errors(), key=lambda wrong: wrong["type"] != UNKNOWN_KEY)
        raise InputError(f"{path}: {_explain(record, wrong[0])}") from error


def _explain(record: type[BaseModel], error: ErrorDetails) -> str:
    """Say where a value is wrong, and which known key is nearest to an unknown one."""
    where = ".".join(str(step) for step in error["loc"])
    if error["type"] != UNKNOWN_KEY:
        whole = isinstance(error["input"], dict)
        got = "" if whole else f", got {error['input']!r}"
        return f"{where}: {_lower(error['msg'])}{got}".removeprefix(": ")
    *parents, unknown = ("", *(str(step) for step in error["loc"]))
    known = list(_known_keys(record))
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
    elif get_origin(annotation) in {Union, UnionType, Annotated, tuple, list, dict}:
        for argument in get_args(annotation):
            yield from _records(argument)
