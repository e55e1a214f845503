from __future__ import annotations

import bz2
import gc
import gzip
import json
import lzma
from typing import TYPE_CHECKING, Any

import pytest

from nextrung.adapters.files.json_stream import (
    stream_documents,
    stream_materials,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

MATERIALS = {
    "a": {"a-0": {"structure": 1.5}},
    "b": {"b-0": {"structure": 2}, "b-1": {}},
}


def members(path: Path) -> Generator[tuple[str, Any]]:
    yield from stream_materials(path, lambda name, frames: (name, frames))


def documents(path: Path) -> list[Any]:
    return list(stream_documents(path, lambda document: document))


def written(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
    ],
)
def test_materials_are_read_from_any_compression(
    suffix: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"frames.json{suffix}"
    path.write_bytes(compress(json.dumps(MATERIALS).encode()))

    assert dict(members(path)) == MATERIALS


def test_materials_are_read_before_a_later_truncation(tmp_path: Path) -> None:
    text = json.dumps({str(index): {"x": {"y": "z" * 100}} for index in range(20_000)})
    path = tmp_path / "frames.json"
    path.write_text(text[:-100])

    materials = members(path)

    assert next(materials)[0] == "0"
    with pytest.raises(InputError, match=r"after 19\d{3} complete entries in .*json"):
        list(materials)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b'{"a": {"a-0": {"str', r"expected JSON, got .*in .*a\.json"),
        ("a.json", b"no JSON", "expected JSON, got "),
        ("a.json", b"", "expected JSON, got "),
        ("a.json", b'{"a": {}}\xff', "expected JSON, got .a closing bracket tha"),
        ("a.json", b'{"a": {"b": "\xff"}}', "expected JSON, got "),
        ("a.json", b'{"a": {}, }', "expected JSON, got .a comma without an entry"),
        ("a.json", b'{"a": {}, "a" {}}', "got .* after 1 complete entries"),
        ("a.json.gz", b"no gzip", "expected JSON, got .Not a gzipped file"),
        (
            "a.json.gz",
            gzip.compress(json.dumps(MATERIALS).encode(), mtime=0)[:-20],
            "expected JSON, got .Compressed file ended",
        ),
        ("a.json.xz", b"no xz", "expected JSON, got .Input format not supported"),
        ("a.json", b'{"a": [1]}', "an object of frames, got a list as 'a'"),
        ("a.json", b'{"a": "b"}', "an object of frames, got a text as 'a'"),
        ("a.json", b'{"a": null}', "an object of frames, got null as 'a'"),
        ("a.json", b'{"a": 1}', "an object of frames, got a number as 'a'"),
        ("a.json", b"{}", "an object of materials, got none"),
        ("a.json", b"[]", "an object of materials, got none"),
    ],
)
def test_anything_but_an_object_of_materials_is_a_one_line_error(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InputError, match=reason) as caught:
        list(members(path))

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"a": {"a-0": {"energy": 1, "energy": 2}}}', "energy"),
        ('{"a": {"a-0": {"structure": 1}, "a-0": {"structure": 2}}}', "a-0"),
        ('{"a": {"a-0": {}}, "b": {"b-0": {}}, "a": {"a-1": {}}}', "a"),
    ],
)
def test_a_repeated_name_is_found_although_parsers_keep_the_last(
    text: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "frames.json"
    path.write_text(text)

    with pytest.raises(InputError, match=f"every name once, got '{name}' twice in one"):
        list(members(path))


def test_the_same_name_in_two_objects_is_valid(tmp_path: Path) -> None:
    frame = {"structure": 1, "more": {"structure": 2}}

    path = written(tmp_path / "frames.json", {"a": {"a-0": frame, "a-1": frame}})

    assert dict(members(path)) == {"a": {"a-0": frame, "a-1": frame}}


@pytest.mark.parametrize("text", ['[{"x": 1, "x": 1}]', '{"x": 1, "x": 1}'])
def test_a_repeated_name_in_a_document_is_found(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(text)

    with pytest.raises(InputError, match="every name once, got 'x' twice in one obj"):
        documents(path)


@pytest.mark.parametrize("content", [{"x": 1.0}, [{"x": 1.0}]])
def test_a_file_holds_one_document_or_a_list(content: object, tmp_path: Path) -> None:
    path = written(tmp_path / "tasks.json", content)

    assert documents(path) == [{"x": 1.0}]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "a.json",
            b'[{"x": 1}, {"y"',
            "expected JSON, got .* after 1 complete entries",
        ),
        ("a.json", b"[1]", "expected documents, got a number in"),
        ("a.json.gz", b"no gzip", "expected JSON, got .Not a gzipped"),
    ],
)
def test_anything_but_documents_is_a_one_line_error(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InputError, match=reason):
        documents(path)


def test_the_garbage_collector_is_off_while_members_are_converted_and_no_longer(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "frames.json", MATERIALS)

    inside = stream_materials(path, lambda _name, _frames: gc.isenabled())

    assert [(collects, gc.isenabled()) for collects in inside] == [(False, True)] * 2


@pytest.mark.parametrize("content", [{"x": 1.0}, [{"x": 1.0}]])
def test_errors_of_the_conversion_name_the_file(
    content: object, tmp_path: Path
) -> None:
    def convert(document: object) -> None:
        raise InputError(f"expected a task, got {document}")

    path = written(tmp_path / "tasks.json", content)

    with pytest.raises(InputError, match=r"a task, got .*1\.0\} in .*tasks\.json$"):
        list(stream_documents(path, convert))


def test_the_garbage_collector_is_on_after_invalid_json(tmp_path: Path) -> None:
    path = tmp_path / "frames.json"
    path.write_text('{"a": {"b": nothing}}')

    with pytest.raises(InputError, match="expected JSON"):
        list(members(path))

    assert gc.isenabled()


def test_a_disabled_garbage_collector_stays_disabled(tmp_path: Path) -> None:
    path = written(tmp_path / "frames.json", MATERIALS)
    gc.disable()
    try:
        list(members(path))
        assert not gc.isenabled()
    finally:
        gc.enable()
