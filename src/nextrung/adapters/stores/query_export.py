"""Export of the rows of a query to CSV, JSON, JSON lines and Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextrung.adapters.files import row_files
from nextrung.schemas.base import InputError
from nextrung.schemas.stores.collections import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nextrung.adapters.stores.queries import CollectionQuery


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
    if path.suffix not in row_files.ROW_SUFFIXES:
        known = ", ".join(row_files.ROW_SUFFIXES)
        raise InputError(f"--output: expected a name that ends in {known}, got {path}")
    schema = row_files.make_schema(ROWS[query.collection], query.columns)
    try:
        row_files.write_rows(path, rows, schema)
    except OSError as error:
        raise InputError(f"--output: cannot write {path}: {error.strerror}") from error
