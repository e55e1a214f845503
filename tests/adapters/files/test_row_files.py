from __future__ import annotations

import csv
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextrung.adapters.files.row_files import ROW_SUFFIXES, make_schema, write_rows
from nextrung.schemas.base import Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Colour(StrEnum):
    RED = "red"


class Row(Record):
    name: str
    colour: Colour
    count: int
    energy: float | None
    stable: bool | None
    elements: tuple[str, ...]


SCHEMA = make_schema(Row)
ROWS: list[dict[str, Any]] = [
    {
        "name": "a, b",
        "colour": "red",
        "count": 1,
        "energy": None,
        "stable": None,
        "elements": ["Li", "O"],
    },
    {
        "name": "Γ",
        "colour": "red",
        "count": 2,
        "energy": -0.1,
        "stable": True,
        "elements": [],
    },
]


def test_types_of_columns_follow_from_fields_not_from_rows() -> None:
    assert SCHEMA.types == [
        pa.string(),
        pa.string(),
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.list_(pa.string()),
    ]
    assert make_schema(Row, ("energy", "name")).names == ["energy", "name"]


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


READERS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    ".parquet": lambda path: pq.read_table(path).to_pylist(),
}


@pytest.mark.parametrize("suffix", READERS)
def test_rows_come_back(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows{suffix}"

    write_rows(file, ROWS, SCHEMA)

    assert READERS[suffix](file) == ROWS


def test_csv_has_empty_cells_and_lists_joined_by_spaces(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS, SCHEMA)

    first, second = read_csv(tmp_path / "rows.csv")
    assert (first["name"], first["energy"], first["elements"]) == ("a, b", "", "Li O")
    assert (second["name"], second["energy"], second["stable"]) == ("Γ", "-0.1", "True")


@pytest.mark.parametrize("suffix", ROW_SUFFIXES)
def test_no_rows_are_a_file_too(tmp_path: Path, suffix: str) -> None:
    write_rows(tmp_path / f"rows{suffix}", [], SCHEMA)

    assert [file.suffix for file in tmp_path.iterdir()] == [suffix]


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text("old")

    with pytest.raises(TypeError):
        write_rows(file, [{"name": object()}], SCHEMA)

    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
