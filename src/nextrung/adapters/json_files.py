"""JSON files of any size, plain or compressed, one member at a time."""

from __future__ import annotations

import gc
import lzma
import zlib
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TypeVar

import ijson  # type: ignore[import-untyped]
from monty.io import zopen

from nextrung.adapters.paths import expand_path
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

#: Numbers are floats; so many bytes are handed to the parser at once.
PARSING: dict[str, Any] = {"use_float": True, "buf_size": 1 << 15}

#: Members between two looks of the collector of cycles.
COLLECT_EVERY = 1000

#: What truncated, garbled and wrongly compressed files raise.
UNREADABLE = (
    ijson.JSONError,
    OSError,
    EOFError,
    UnicodeError,
    lzma.LZMAError,
    zlib.error,
)


def find_json_files(paths: Sequence[str]) -> list[Path]:
    """Find the JSON files that a source names.

    Parameters
    ----------
    paths : sequence of str
        Files as the study writes them.

    Returns
    -------
    list of Path
        The files, in order.

    Raises
    ------
    InputError
        If a file does not exist or is a folder.
    """
    files = [expand_path(written) for written in paths]
    for path in files:
        if not path.is_file():
            raise InputError(f"expected a JSON file, met a folder at {path}")
    return files


def stream_materials(
    path: Path, convert: Callable[[str, Mapping[str, Any]], T]
) -> Iterator[T]:
    """Read a JSON object of materials, each an object of frames, one after another.

    Parameters
    ----------
    path : Path
        File that holds one object.
    convert : callable
        Makes something smaller of the name of a material and its frames by name;
        numbers with a point are floats.

    Yields
    ------
    object
        What was made of each material.

    Raises
    ------
    InputError
        If the file breaks off, is no JSON or no object of objects, or a name occurs
        twice in one object.
    """
    n_frames = 0

    def convert_member(member: tuple[str, Any]) -> T:
        nonlocal n_frames
        name, frames = member
        if not isinstance(frames, dict):
            raise InputError(
                f"expected an object of frames, met {_describe(frames)} as {name!r} in "
                f"{path}"
            )
        n_frames += len(frames)
        return convert(name, frames)

    with _CountingFile(path) as file:
        yield from _watch(ijson.kvitems(file, "", **PARSING), path, convert_member)
    if not n_frames:
        raise InputError(f"expected an object of materials, met none in {path}")
    if file.n_structures > n_frames:
        _refuse_repeated_names(path)


def stream_documents(path: Path) -> Iterator[Mapping[str, Any]]:
    """Read the documents of a file one after another.

    Parameters
    ----------
    path : Path
        File that holds a list of objects,or one object.

    Yields
    ------
    mapping
        A document; numbers with a point are floats.

    Raises
    ------
    InputError
        If the file breaks off, is no JSON, or holds something else.
    """
    with zopen(path, "rb") as file:
        try:
            prefix = "item" if file.read(1024).lstrip()[:1] == b"[" else ""
            file.seek(0)
        except UNREADABLE as error:
            raise InputError(_garbled(path, error, 0)) from error
        yield from _watch(
            ijson.items(file, prefix, **PARSING), path, partial(_check_document, path)
        )


def _check_document(path: Path, document: object) -> Mapping[str, Any]:
    """Refuse what is no object."""
    if not isinstance(document, dict):
        raise InputError(f"expected documents, met {_describe(document)} in {path}")
    return document


class _CountingFile:
    """A file that counts the structures in what has been read of it."""

    KEY = b'"structure"'

    def __init__(self, path: Path) -> None:
        self.file = zopen(path, "rb")
        self.n_structures = 0
        self.tail = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self, size: int) -> bytes:
        """Read bytes and count the structures in them."""
        content: bytes = self.file.read(size)
        joined = self.tail + content
        self.n_structures += joined.count(self.KEY)
        self.tail = joined[1 - len(self.KEY) :]
        return content


class _Members(dict[str, Any]):
    """An object that notes the names that are set twice."""

    def __init__(self, repeated: list[str]) -> None:
        super().__init__()
        self.repeated = repeated

    def __setitem__(self, name: str, value: object) -> None:
        if name in self:
            self.repeated.append(name)
        super().__setitem__(name, value)


def _watch(
    found: Iterator[Any], path: Path, convert: Callable[[Any], T]
) -> Iterator[T]:
    """Parse and convert with the collector of cycles at rest.

    JSON has no cycles, but so many objects that the collector would take half of the
    time. It sees what is young now and then, and wakes at the end.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        for n_read in count(1):
            try:
                converted = convert(next(found))
            except StopIteration:
                return
            except UNREADABLE as error:
                raise InputError(_garbled(path, error, n_read - 1)) from error
            yield converted
            if n_read % COLLECT_EVERY == 0:
                gc.collect(0)
    finally:
        if collects:
            gc.enable()


def _refuse_repeated_names(path: Path) -> None:
    """Find the name that makes a parsed object smaller than what was written."""
    repeated: list[str] = []
    with zopen(path, "rb") as file:
        for _ in ijson.kvitems(file, "", map_type=partial(_Members, repeated)):
            if repeated:
                raise InputError(
                    f"expected every name once, met {repeated[0]!r} twice in one "
                    f"object of {path}"
                )


def _garbled(path: Path, error: Exception, n_read: int) -> str:
    """Say in one line where a file stops to be JSON."""
    lines = str(error).splitlines() or [type(error).__name__]
    after = f" after {n_read} complete entries" if n_read else ""
    return f"expected JSON, met {lines[0].strip()!r}{after} in {path}"


def _describe(value: object) -> str:
    """Name the type of a JSON value."""
    names = {list: "a list", str: "a text", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
