"""Parquet tables of the relaxations of a shard or a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.frame_table import to_array
from nextrung.compute.collections import RelaxationSummary
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord
from nextrung.schemas.stability.table import ModelEnergies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SCHEMA = pa.schema(
    [
        ("material_id", pa.string()),
        ("status", pa.string()),
        ("energy", pa.float64()),
        ("initial_energy", pa.float64()),
        ("n_steps", pa.int64()),
        ("fmax", pa.float64()),
        ("error", pa.string()),
        ("note", pa.string()),
        ("atomic_numbers", pa.list_(pa.int16())),
        ("lattice", pa.list_(pa.float64())),
        ("frac_coords", pa.list_(pa.float64())),
    ]
)

#: Columns of the sites of the relaxed structure.
_SITES = ("atomic_numbers", "frac_coords")


def write_relaxations(path: Path, records: Mapping[str, RelaxationRecord]) -> None:
    """Write relaxations as a Parquet table.

    Parameters
    ----------
    path : Path
        File to write.
    records : mapping of str to RelaxationRecord
        Relaxations by material.
    """
    rows = [{"material_id": name, **_row(record)} for name, record in records.items()]
    pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), path, compression="zstd")


def read_relaxations(path: Path) -> dict[str, RelaxationRecord]:
    """Read a table of relaxations, by material.

    Parameters
    ----------
    path : Path
        Table of relaxations.

    Raises
    ------
    InputError
        If the file is not a table of relaxations.
    """
    rows = _read_rows(path, _SCHEMA.names)
    return {row.pop("material_id"): _record(row) for row in rows}


def join_relaxations(parts: Sequence[Path], order: Sequence[str], path: Path) -> None:
    """Merge tables of relaxations.

    Parameters
    ----------
    parts : sequence of Path
        Tables of relaxations.
    order : sequence of str
        Materials in the order of the merged rows; each is in one of the parts.
    path : Path
        File to write.
    """
    joined = pa.concat_tables([pq.read_table(part, schema=_SCHEMA) for part in parts])
    rows = pc.index_in(
        pa.array(order, pa.string()), joined["material_id"].combine_chunks()
    )
    pq.write_table(joined.take(rows), path, compression="zstd")


def read_outcomes(path: Path) -> list[RelaxationSummary]:
    """Read the outcomes of relaxations, without the columns of sites.

    Parameters
    ----------
    path : Path
        Table of relaxations.

    Returns
    -------
    list of RelaxationSummary
        One per material, in the order written.

    Raises
    ------
    InputError
        If the file is not a table of relaxations.
    """
    columns = [name for name in _SCHEMA.names if name not in _SITES]
    return [_summarise(row) for row in _read_rows(path, columns)]


def read_energies(path: Path, order: Sequence[str]) -> ModelEnergies:
    """Read the energies of relaxations, without structures.

    Parameters
    ----------
    path : Path
        Table of relaxations.
    order : sequence of str
        Materials in the order of the energies.

    Raises
    ------
    InputError
        If the file is not a table of relaxations, or lacks a material.
    """
    columns = ["material_id", "status", "energy", "initial_energy"]
    table = _read_table(path, columns)
    rows = pc.index_in(
        pa.array(order, pa.string()), table["material_id"].combine_chunks()
    )
    if rows.null_count:
        missing = order[rows.is_null().to_pylist().index(True)]
        raise InputError(f"expected the relaxation of {missing} in {path}, got none")
    table = table.take(rows)
    return ModelEnergies(
        relaxed=to_array(table["energy"]),
        unrelaxed=to_array(table["initial_energy"]),
        statuses=np.array(table["status"].to_pylist(), dtype=np.str_),
    )


def _read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Read some columns of a table of relaxations as rows."""
    rows: list[dict[str, Any]] = _read_table(path, columns).to_pylist()
    return rows


def _read_table(path: Path, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a table of relaxations; older ones have no notes."""
    try:
        written = pq.read_schema(path).names
        wanted = [name for name in columns if name in written or name != "note"]
        return pq.read_table(path, columns=wanted).select(wanted)
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise InputError(f"expected a table of relaxations in {path}") from error


def _summarise(row: dict[str, Any]) -> RelaxationSummary:
    """Build a summary from the columns of a row."""
    name, lattice = row.pop("material_id"), row.pop("lattice")
    return RelaxationSummary(
        material_id=name,
        record=RelaxationRecord(structure=None, **row),
        volume=None if lattice is None else Lattice(lattice).volume,
    )


def _row(record: RelaxationRecord) -> dict[str, Any]:
    """Convert a record to a row."""
    structure = record.structure
    columns = record.model_dump(mode="json", exclude={"structure"})
    if structure is not None:
        columns |= {
            "atomic_numbers": list(structure.atomic_numbers),
            "lattice": structure.lattice.matrix.ravel(),
            "frac_coords": structure.frac_coords.ravel(),
        }
    return columns


def _record(row: dict[str, Any]) -> RelaxationRecord:
    """Convert a row to a record."""
    numbers, lattice, frac_coords = (
        row.pop(column) for column in ("atomic_numbers", "lattice", "frac_coords")
    )
    structure = None
    if numbers is not None:
        structure = Structure(
            Lattice(lattice), numbers, np.reshape(frac_coords, (-1, 3))
        )
    return RelaxationRecord(structure=structure, **row)
