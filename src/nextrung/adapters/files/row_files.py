"""Rows of records as CSV, JSON, JSON lines or Parquet; the suffix decides."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq

from nextrung.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    _Rows = Sequence[Mapping[str, Any]]

#: Types of columns by the types of fields, the most general first.
_COLUMN_TYPES = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
}


def write_rows(path: Path, rows: _Rows, schema: pa.Schema) -> None:
    """Write rows as a table.

    Parameters
    ----------
    path : Path
        File to write or replace: ``.csv``, ``.json``, ``.jsonl`` or ``.parquet``.
    rows : sequence of mapping
        Rows of plain values, each with the columns of the schema.
    schema : pyarrow.Schema
        Names and types of the columns.
    """
    with atomic_write(path) as temporary:
        _WRITERS[path.suffix](temporary, rows, schema)


def make_schema(record: type[BaseModel], fields: Sequence[str] = ()) -> pa.Schema:
    """Choose column types by the fields of a record, so that rows do not matter.

    Parameters
    ----------
    record : type of BaseModel
        The record.
    fields : sequence of str
        Fields to include, in order; all by default.

    Returns
    -------
    pyarrow.Schema
        A column per field; whatever is neither a number nor a list is text.
    """
    known = record.model_fields
    return pa.schema(
        [(name, _column_type(known[name].annotation)) for name in fields or known]
    )


def _column_type(annotation: Any) -> pa.DataType:  # noqa: ANN401 - any annotation
    """Choose the type of a column."""
    leaves = _list_leaves(annotation)
    found = (_COLUMN_TYPES[kind] for kind in _COLUMN_TYPES if kind in leaves)
    column = next(found, pa.string())
    return pa.list_(column) if get_origin(annotation) in {list, tuple} else column


def _list_leaves(annotation: Any) -> list[Any]:  # noqa: ANN401 - any annotation
    """List the plain types that an annotation is made of."""
    arguments = get_args(annotation)
    return [leaf for each in arguments for leaf in _list_leaves(each)] or [annotation]


def _write_csv(path: Path, rows: _Rows, schema: pa.Schema) -> None:
    """Write comma-separated values; lists are joined by spaces."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(schema.names)
        for row in rows:
            cells = (row[name] for name in schema.names)
            writer.writerow(
                " ".join(map(str, cell)) if isinstance(cell, list | tuple) else cell
                for cell in cells
            )


def _write_json(path: Path, rows: _Rows, _schema: pa.Schema) -> None:
    """Write one list of objects."""
    path.write_text(json.dumps(list(rows), indent=1) + "\n", encoding="utf-8")


def _write_lines(path: Path, rows: _Rows, _schema: pa.Schema) -> None:
    """Write one object per line."""
    lines = (json.dumps(row) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def _write_parquet(path: Path, rows: _Rows, schema: pa.Schema) -> None:
    """Write a compressed table."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path, compression="zstd")


_WRITERS: Mapping[str, Callable[[Path, _Rows, pa.Schema], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".jsonl": _write_lines,
    ".parquet": _write_parquet,
}

#: Suffixes of the files that :func:`write_rows` writes.
ROW_SUFFIXES = tuple(_WRITERS)
