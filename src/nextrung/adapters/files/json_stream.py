"""JSON files of any size, plain or compressed, parsed one member at a time."""

from __future__ import annotations

import gc
import json
from collections import Counter
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from nextrung.adapters.files.json_split import cut_members
from nextrung.adapters.files.untrusted.compressed import UNREADABLE, open_bytes
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

_Item = TypeVar("_Item")


def stream_materials(
    path: Path, convert: Callable[[str, Mapping[str, Any]], _Item]
) -> Iterator[_Item]:
    """Read and convert the materials of a JSON object, each an object of frames.

    Parameters
    ----------
    path : Path
        File that holds one object.
    convert : callable
        Receives the name of a material and its frames by name; what it returns must
        not refer to these, so that they are freed at once.

    Raises
    ------
    InputError
        If the file is truncated, is not JSON or not an object of objects, or a name
        occurs twice in one object, at any level down to the keys of a frame.
    """
    names: set[str] = set()

    def read(member: dict[str, Any] | list[Any]) -> _Item:
        if not isinstance(member, dict):
            raise InputError("expected an object of materials, got none")
        ((name, frames),) = member.items()
        if not isinstance(frames, dict):
            raise InputError(
                f"expected an object of frames, got {_describe(frames)} as {name!r}"
            )
        if name in names:
            raise InputError(_describe_repeated(name))
        names.add(name)
        return convert(name, frames)

    yield from _stream_members(path, read)
    if not names:
        raise InputError(f"expected an object of materials, got none in {path}")


def stream_documents(
    path: Path, convert: Callable[[Mapping[str, Any]], _Item]
) -> Iterator[_Item]:
    """Read and convert the documents of a file one after another.

    Parameters
    ----------
    path : Path
        File that holds a list of objects, or one object.
    convert : callable
        Receives a document; what it returns must not refer to it.

    Raises
    ------
    InputError
        If the file is truncated, is not JSON, or holds other values, or a name occurs
        twice in one object near the top.
    """
    whole: dict[str, Any] = {}

    def read(member: dict[str, Any] | list[Any]) -> tuple[_Item, ...]:
        if isinstance(member, dict):
            ((name, value),) = member.items()
            if name in whole:
                raise InputError(_describe_repeated(name))
            whole[name] = value
            return ()
        (document,) = member
        if not isinstance(document, dict):
            raise InputError(f"expected documents, got {_describe(document)}")
        return (convert(document),)

    for documents in _stream_members(path, read):
        yield from documents
    if whole:
        with _parsing(path):
            document = convert(whole)
        yield document


def _stream_members(
    path: Path, convert: Callable[[dict[str, Any] | list[Any]], _Item]
) -> Iterator[_Item]:
    """Parse and convert members as objects of one name, or as lists of one item."""
    for n_read, (text, n_names) in enumerate(_cut_file(path)):
        with _parsing(path):
            converted = convert(_parse(text, n_names, n_read))
        yield converted


@contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Disable the garbage collector, and add the file to errors.

    The collector would take as long as the parser; nearly all parsed objects are freed
    by their reference count at the end of the block.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    except InputError as error:
        raise InputError(f"{error} in {path}") from error
    finally:
        if collects:
            gc.enable()


def _cut_file(path: Path) -> Iterator[tuple[bytes, int]]:
    """Cut a file into its members; describe where it cannot be read."""
    n_read = 0
    try:
        with open_bytes(path) as file:
            for n_read, member in enumerate(cut_members(file), start=1):  # noqa: B007
                yield member
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{_describe_invalid(error, n_read)} in {path}") from error


def _parse(text: bytes, n_names: int, n_read: int) -> dict[str, Any] | list[Any]:
    """Parse a member; reject repeated names, of which parsers keep the last."""
    try:
        member: dict[str, Any] | list[Any] = orjson.loads(text)
    except ValueError as error:
        raise InputError(_describe_invalid(error, n_read)) from error
    if not member:
        comma = ValueError("a comma without an entry")
        raise InputError(_describe_invalid(comma, n_read))
    if n_names != sum(len(value) for value in _list_objects(member)):
        raise InputError(_describe_repeated(_find_repeated(text)))
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


def _describe_repeated(name: str) -> str:
    """Describe a repeated name in one line."""
    return f"expected every name once, got {name!r} twice in one object"


def _describe_invalid(error: Exception, n_read: int) -> str:
    """Describe in one line where a file stops being JSON."""
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    lines = reason.splitlines() or [type(error).__name__]
    after = f" after {n_read} complete entries" if n_read else ""
    return f"expected JSON, got {lines[0].strip()!r}{after}"


def _describe(value: object) -> str:
    """Name the type of a JSON value."""
    names = {list: "a list", str: "a text", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
