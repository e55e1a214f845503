from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nextrung.potentials.generic.files import (
    FORMAT,
    ShiftedFile,
    read_shifted,
    write_shifted,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = ShiftedFile(
    base="ase:ase.calculators.emt:EMT",
    elements=frozenset({"Cu", "Al"}),
    shift={"Cu": 1 / 3, "Al": -1e-17},
    metadata={"functional": "r2SCAN", "n": 3},
)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Energies to the last bit."""
    path = tmp_path / "new" / "model.json"

    write_shifted(CONTENT, path)

    assert read_shifted(path) == CONTENT


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"{", b"{}", b"[1]", b'{"format": 1}', b"{" * 9999]
)
def test_files_of_other_formats_are_not_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)

    assert read_shifted(path) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base", 3),
        ("base", None),
        ("shift", {"Cu": "x"}),
        ("shift", {"Cu": float("nan")}),
        ("elements", "Cu"),
        ("unknown", 1),
    ],
)
def test_a_wrong_value_is_named_in_one_line(
    tmp_path: Path, key: str, value: object
) -> None:
    path = tmp_path / "model.json"
    good = {"format": FORMAT, "base": "chgnet-r2scan", "elements": []}
    path.write_text(json.dumps({**good, key: value}))

    with pytest.raises(InputError, match=rf"model\.json: {key}.*: .*, got"):
        read_shifted(path)
