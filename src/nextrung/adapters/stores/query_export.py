"""Export of the rows of a query to CSV, JSON, JSON lines and Parquet."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq

from nextrung.atomic_write import atomic_write
from nextrung.schemas.base import InputError
from nextrung.schemas.stores.collections import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from nextrung.adapters.stores.queries import CollectionQuery

#: Column type by the first type in the annotation of a field.
_COLUMNS = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def write_rows(
    rows: Sequence[Mapping[str, Any]], query: CollectionQuery, path: Path
) -> None:
    """Write rows to a file of the format of its suffix.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the query.
    query : CollectionQuery
        The query.
    path : Path
        File to write: ``.csv``, ``.json``, ``.jsonl`` or ``.parquet``.

    Raises
    ------
    InputError
        If the suffix is another, or the file cannot be written.
    """
    writers: dict[str, Callable[[Path], object]] = {
        ".csv": lambda file: _write_csv(rows, query, file),
        ".json": lambda file: file.write_text(json.dumps(rows, indent=1) + "\n"),
        ".jsonl": lambda file: file.write_text(
            "".join(json.dumps(row) + "\n" for row in rows)
        ),
        ".parquet": lambda file: _write_parquet(rows, query, file),
    }
    if path.suffix not in writers:
        known = ", ".join(writers)
        raise InputError(f"--output: expected a name that ends in {known}, got {path}")
    try:
        with atomic_write(path) as file:
            writers[path.suffix](file)
    except OSError as error:
        raise InputError(f"--output: cannot write {path}: {error.strerror}") from error


def _write_csv(
    rows: Iterable[Mapping[str, Any]], query: CollectionQuery, path: Path
) -> None:
    """Write comma-separated values; lists are joined by spaces."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, query.columns)
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    name: " ".join(value) if isinstance(value, list) else value
                    for name, value in row.items()
                }
            )


def _write_parquet(
    rows: Sequence[Mapping[str, Any]], query: CollectionQuery, path: Path
) -> None:
    """Write a table whose types follow from the fields, not from the rows."""
    known = ROWS[query.collection].model_fields
    schema = pa.schema(
        [(name, _column(known[name].annotation)) for name in query.columns]
    )
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path, compression="zstd")


def _column(annotation: Any) -> pa.DataType:  # noqa: ANN401 - any annotation
    """Choose the type of a column."""
    if get_origin(annotation) is tuple:
        return pa.list_(pa.string())
    kinds = [kind for kind in (annotation, *get_args(annotation)) if kind in _COLUMNS]
    return _COLUMNS[kinds[0]] if kinds else pa.string()
