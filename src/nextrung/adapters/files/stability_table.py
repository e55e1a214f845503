"""Parquet tables of the stability of materials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frame_table import nan_to_null, to_array
from nextrung.schemas.base import InputError
from nextrung.schemas.stability import StabilityDoc
from nextrung.schemas.stability.table import (
    CompetingPhases,
    LoadedStability,
    StabilityTable,
    list_columns,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nextrung.schemas.base import TaskDoc

_PHASES = pa.list_(
    pa.struct(
        [("entry_id", pa.string()), ("formula", pa.string()), ("amount", pa.float64())]
    )
)
_STRINGS = ("material_id", "formula", "chemical_system", "split", "status", "error")
_FLAGS = ("same_products", "target_stable", "predicted_stable")
_PRODUCTS = ("target_competing_phases", "predicted_competing_phases")


def write_stability(table: StabilityTable, path: Path) -> None:
    """Write the stability of materials as a Parquet table, one row per material.

    Parameters
    ----------
    table : StabilityTable
        The materials; missing values are written as null.
    path : Path
        File to write.
    """
    columns = {name: _to_arrow(table, name) for name in list_columns()}
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_stability(path: Path) -> StabilityTable:
    """Read a table of the stability of materials.

    Parameters
    ----------
    path : Path
        Parquet file.

    Raises
    ------
    InputError
        If the file is not a table of stability.
    """
    names = list_columns()
    try:
        table = pq.read_table(path, columns=names).select(names).combine_chunks()
        columns: dict[str, Any] = {name: _from_arrow(table, name) for name in names}
    except (OSError, KeyError, AttributeError, pa.ArrowException) as error:
        raise InputError(f"expected a table of stability in {path}") from error
    return StabilityTable(**columns)


def load_stability(document: StabilityDoc) -> LoadedStability:
    """Load the rows of a stability document from its table.

    Parameters
    ----------
    document : StabilityDoc
        The document.

    Returns
    -------
    LoadedStability
        The document with its rows; itself where it has them.

    Raises
    ------
    InputError
        If the table is missing or damaged.
    """
    if isinstance(document, LoadedStability):
        return document
    rows = read_stability(artifact_path(document.records))
    return LoadedStability(**dict(document), rows=rows)


def load_rows(document: TaskDoc) -> TaskDoc:
    """Load the rows that a document keeps in a file of their own.

    Parameters
    ----------
    document : TaskDoc
        Any document.

    Returns
    -------
    TaskDoc
        The document with its rows; itself where it keeps none in a file.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    return load_stability(document) if isinstance(document, StabilityDoc) else document


def _to_arrow(table: StabilityTable, name: str) -> pa.Array:
    """Convert a column to Arrow, with null in place of missing values."""
    column = getattr(table, name)
    if isinstance(column, CompetingPhases):
        products = [
            pa.array(column.entry_id.tolist(), pa.string()),
            pa.array(column.formula.tolist(), pa.string()),
            pa.array(column.amount, pa.float64()),
        ]
        return pa.ListArray.from_arrays(
            pa.array(column.offsets, pa.int32()),
            pa.StructArray.from_arrays(products, fields=list(_PHASES.value_type)),
            type=_PHASES,
        )
    if name == "error":
        return pa.array(table.list_values(name), pa.string())
    if name in _STRINGS:
        return pa.array(column.tolist(), pa.string())
    if name in _FLAGS:
        return pa.array(column, mask=~table.known[name])
    return nan_to_null(column)


def _from_arrow(table: pa.Table, name: str) -> NDArray[Any] | CompetingPhases:
    """Convert a column from Arrow; null is NaN, False or an empty string."""
    column = table[name]
    if name in _PRODUCTS:
        sizes = to_array(pc.list_value_length(column)).astype(np.int64)
        products = pc.list_flatten(column)
        return CompetingPhases(
            offsets=np.concatenate([[0], np.cumsum(sizes)]),
            entry_id=_strings(pc.struct_field(products, "entry_id")),
            formula=_strings(pc.struct_field(products, "formula")),
            amount=to_array(pc.struct_field(products, "amount")),
        )
    if name in _STRINGS:
        return _strings(column.fill_null(""))
    if name in _FLAGS:
        return to_array(column.fill_null(False))
    return to_array(column)


def _strings(column: pa.ChunkedArray) -> NDArray[np.str_]:
    """Convert a column of strings to an array."""
    return np.array(column.to_pylist(), dtype=np.str_)
