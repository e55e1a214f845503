"""JSON files of any size, plain or compressed, parsed one member at a time."""

from __future__ import annotations

import gc
import json
import lzma
import zlib
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson
from monty.io import zopen

from nextrung.adapters.files.json_split import cut_members
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

#: Exceptions of truncated, invalid and wrongly compressed files.
UNREADABLE = (ValueError, OSError, EOFError, lzma.LZMAError, zlib.error)


def stream_materials(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Read a JSON object of materials, each an object of frames, one after another.

    Parameters
    ----------
    path : Path
        File that holds one object.

    Yields
    ------
    name : str
        Name of a material.
    frames : mapping
        Its frames by name.

    Raises
    ------
    InputError
        If the file is truncated, is not JSON or not an object of objects, or a name
        occurs twice in one object, at any level down to the keys of a frame.
    """
    names: set[str] = set()
    for member in _stream_members(path):
        if not isinstance(member, dict):
            break
        ((name, frames),) = member.items()
        if not isinstance(frames, dict):
            raise InputError(
                f"expected an object of frames, got {_describe(frames)} as {name!r} in "
                f"{path}"
            )
        if name in names:
            raise InputError(_describe_repeated(name, path))
        names.add(name)
        yield name, frames
    if not names:
        raise InputError(f"expected an object of materials, got none in {path}")


def stream_documents(path: Path) -> Iterator[Mapping[str, Any]]:
    """Read the documents of a file one after another.

    Parameters
    ----------
    path : Path
        File that holds a list of objects, or one object.

    Yields
    ------
    mapping
        A document.

    Raises
    ------
    InputError
        If the file is truncated, is not JSON, or holds other values, or a name occurs
        twice in one object near the top.
    """
    whole: dict[str, Any] = {}
    for member in _stream_members(path):
        if isinstance(member, dict):
            ((name, value),) = member.items()
            if name in whole:
                raise InputError(_describe_repeated(name, path))
            whole[name] = value
            continue
        (document,) = member
        if not isinstance(document, dict):
            raise InputError(f"expected documents, got {_describe(document)} in {path}")
        yield document
    if whole:
        yield whole


def _stream_members(path: Path) -> Iterator[dict[str, Any] | list[Any]]:
    """Parse members as objects of one name, or as lists of one item."""
    n_read = 0
    try:
        with zopen(path, "rb") as file:
            for text, n_names in cut_members(file):
                member = _parse(text, n_names, path)
                n_read += 1
                yield member
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(_describe_invalid(path, error, n_read)) from error


def _parse(text: bytes, n_names: int, path: Path) -> dict[str, Any] | list[Any]:
    """Parse a member; reject repeated names, of which parsers keep the last."""
    member = _load(text)
    if not member:
        raise ValueError("a comma without an entry")
    if n_names != sum(len(value) for value in _list_objects(member)):
        raise InputError(_describe_repeated(_find_repeated(text), path))
    return member


def _load(text: bytes) -> dict[str, Any] | list[Any]:
    """Parse without the garbage collector, which would take as long as the parser."""
    collects = gc.isenabled()
    gc.disable()
    try:
        member: dict[str, Any] | list[Any] = orjson.loads(text)
    finally:
        if collects:
            gc.enable()
    return member


def _list_objects(member: object) -> Iterator[dict[str, Any]]:
    """List the objects on the two levels in which names were counted."""
    below = list(_list_children(member))
    for child in chain(below, *map(_list_children, below)):
        if isinstance(child, dict):
            yield child


def _list_children(value: object) -> Iterable[Any]:
    """List the values of an object or a list."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _find_repeated(text: bytes) -> str:
    """Find the first name that occurs twice in one object."""
    repeated: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = Counter(name for name, _ in pairs)
        repeated.extend(name for name, count in names.items() if count > 1)
        return dict(pairs)

    json.loads(text, object_pairs_hook=collect)
    return repeated[0]


def _describe_repeated(name: str, path: Path) -> str:
    """Describe a repeated name in one line."""
    return f"expected every name once, got {name!r} twice in one object of {path}"


def _describe_invalid(path: Path, error: Exception, n_read: int) -> str:
    """Describe in one line where a file stops being JSON."""
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    lines = reason.splitlines() or [type(error).__name__]
    after = f" after {n_read} complete entries" if n_read else ""
    return f"expected JSON, got {lines[0].strip()!r}{after} in {path}"


def _describe(value: object) -> str:
    """Name the type of a JSON value."""
    names = {list: "a list", str: "a text", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
