"""Parquet files of frames, materials and rejections."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nextrung.adapters.files.frame_table import (
    frames_from_table,
    frames_to_columns,
    nan_to_null,
    to_array,
)
from nextrung.compute.formation import find_references, formation_energies
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import SPLITS, Frames
from nextrung.schemas.labels.curation import Rejection
from nextrung.schemas.labels.materials import Materials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Key of the settings and counts in the file's metadata.
METADATA_KEY = b"nextrung"

FRAME_SCHEMA = pa.schema(
    [
        ("material_id", pa.string()),
        ("frame_id", pa.string()),
        ("functional", pa.string()),
        ("split", pa.string()),
        ("atomic_numbers", pa.list_(pa.int16())),
        ("lattice", pa.list_(pa.float64(), 9)),
        ("frac_coords", pa.list_(pa.float64())),
        ("energy", pa.float64()),
        ("forces", pa.list_(pa.float32())),
        ("stress", pa.list_(pa.float32(), 9)),
        ("magmoms", pa.list_(pa.float32())),
    ]
)
ENERGIES = pa.map_(pa.string(), pa.float64())
MATERIAL_SCHEMA = pa.schema(
    [
        *FRAME_SCHEMA,
        ("target_energy", pa.float64()),
        ("formula", pa.string()),
        ("chemical_system", pa.string()),
        ("relaxed_energies", ENERGIES),
        ("formation_energies", ENERGIES),
    ]
)
REJECTION_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("frame_id", "material_id", "rule", "reason")]
)

#: Parquet options; dictionaries do not compress columns of distinct numbers.
WRITING: Mapping[str, Any] = {
    "compression": "zstd",
    "use_dictionary": ["material_id", "functional", "split", "rule", "reason"],
}


def write_frames(
    frames: Frames, path: Path, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write frames, one row each.

    Parameters
    ----------
    frames : Frames
        Frames to write; labels that are NaN are written as null.
    path : Path
        File to write.
    metadata : mapping, optional
        Settings and counts to keep in the file, as JSON values.
    """
    _write_table(
        pa.table(frames_to_columns(frames), schema=FRAME_SCHEMA), path, metadata
    )


def read_frames(path: Path) -> Frames:
    """Read a frames file.

    Parameters
    ----------
    path : Path
        Parquet file.

    Returns
    -------
    Frames
        The frames, in the order of the rows.

    Raises
    ------
    InputError
        If the file is not a frames file, or is inconsistent.
    """
    return _build_frames(_read_table(path, FRAME_SCHEMA), path)


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the settings and counts in the metadata of a file; empty if missing.

    Parameters
    ----------
    path : Path
        Parquet file written by this module.

    Raises
    ------
    InputError
        If the file is not Parquet.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise InputError(_describe_invalid(path, error)) from error
    content: dict[str, Any] = json.loads(metadata.get(METADATA_KEY, b"{}"))
    return content


def write_materials(
    materials: Materials, path: Path, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write materials, one row each.

    Parameters
    ----------
    materials : Materials
        Materials to write; energies that are NaN are written as null.
    path : Path
        File to write.
    metadata : mapping, optional
        Settings and counts to keep in the file, as JSON values.
    """
    columns = frames_to_columns(materials.initial)
    columns["target_energy"] = nan_to_null(materials.energies)
    compositions = materials.initial.compositions()
    columns["formula"] = pa.array([c.reduced_formula for c in compositions])
    columns["chemical_system"] = pa.array([c.chemical_system for c in compositions])
    columns["relaxed_energies"] = _pack_energies(materials.by_functional, materials)
    formed = {
        name: formation_energies(
            compositions, energies, find_references(compositions, energies)
        )
        for name, energies in materials.by_functional.items()
    }
    columns["formation_energies"] = _pack_energies(formed, materials)
    _write_table(pa.table(columns, schema=MATERIAL_SCHEMA), path, metadata)


def read_materials(path: Path) -> Materials:
    """Read a materials file.

    Parameters
    ----------
    path : Path
        Parquet file.

    Raises
    ------
    InputError
        If the file is not a materials file, or is inconsistent.
    """
    table = _read_table(path, MATERIAL_SCHEMA)
    return Materials(
        initial=_build_frames(table, path),
        energies=to_array(table["target_energy"]),
        by_functional=_unpack_energies(table["relaxed_energies"].to_pylist()),
    )


def _pack_energies(
    energies: Mapping[str, NDArray[np.float64]], materials: Materials
) -> pa.Array:
    """Build a column of the known energies in eV/atom by functional."""
    rows = [
        [
            (name, float(known[row]))
            for name, known in energies.items()
            if np.isfinite(known[row])
        ]
        for row in range(len(materials))
    ]
    return pa.array(rows, ENERGIES)


def _unpack_energies(
    rows: Sequence[Sequence[tuple[str, float]]],
) -> dict[str, NDArray[np.float64]]:
    """Build one array per functional of such a column; NaN where it is missing."""
    known = [dict(row or ()) for row in rows]
    names = sorted({name for row in known for name in row})
    return {name: np.array([row.get(name, np.nan) for row in known]) for name in names}


def read_rejections(path: Path) -> list[Rejection]:
    """Read a rejections file.

    Parameters
    ----------
    path : Path
        Parquet file.

    Raises
    ------
    InputError
        If the file is not a rejections file.
    """
    rows = _read_table(path, REJECTION_SCHEMA).to_pylist()
    return [Rejection.model_validate(row) for row in rows]


def _write_table(
    table: pa.Table, path: Path, metadata: Mapping[str, Any] | None
) -> None:
    """Write a compressed table with its metadata."""
    packed = {METADATA_KEY: json.dumps(metadata or {}, sort_keys=True)}
    pq.write_table(table.replace_schema_metadata(packed), path, **WRITING)


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Read the columns of a schema and cast them to its types."""
    try:
        with pq.ParquetFile(path) as file:  # read_table would import pyarrow.dataset
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise InputError(_describe_invalid(path, error)) from error
    if missing := [name for name in schema.names if name not in table.column_names]:
        raise InputError(f"expected a column {missing[0]!r}, got none in {path}")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"unexpected column type in {path}: {error}") from error


def _describe_invalid(path: Path, error: Exception) -> str:
    """Describe in one line why a file is not Parquet."""
    return f"expected a Parquet file, got {str(error).splitlines()[0]!r} in {path}"


def _build_frames(table: pa.Table, path: Path) -> Frames:
    """Convert a table to frames; reject inconsistent rows."""
    try:
        frames = frames_from_table(table)
    except ValueError as error:
        raise InputError(f"{error} in {path}") from error
    if unknown := set(frames.splits.tolist()) - {"", *SPLITS}:
        raise InputError(
            f"expected splits {', '.join(SPLITS)}, got {min(unknown)!r} in {path}"
        )
    if repeated := _list_repeated(frames.frame_ids.tolist()):
        raise InputError(
            f"expected unique frame ids, got {repeated[0]!r} twice in {path}"
        )
    pairs = set(zip(frames.material_ids.tolist(), frames.splits.tolist(), strict=True))
    if repeated := _list_repeated(sorted(material for material, _ in pairs)):
        raise InputError(
            f"expected every material in one split, got {repeated[0]!r} in two in "
            f"{path}"
        )
    return frames


def _list_repeated(names: Sequence[str]) -> list[str]:
    """List the names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]
