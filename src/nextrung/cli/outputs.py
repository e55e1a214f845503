"""Files of results that commands write on request; the suffix decides which kind."""

from __future__ import annotations

import json
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from monty.json import MontyEncoder

from nextrung.adapters.files.relaxation_table import (
    write_relaxations as write_relaxation_table,
)
from nextrung.adapters.files.row_files import ROW_SUFFIXES, make_schema, write_rows
from nextrung.adapters.files.structure_files import write_cif, write_relaxed_extxyz
from nextrung.atomic_write import atomic_write
from nextrung.schemas.base import InputError
from nextrung.schemas.density import DensityRecord
from nextrung.schemas.evaluation import FrameResiduals
from nextrung.schemas.physics import PhysicsRecord
from nextrung.schemas.relaxation import RelaxationRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nextrung.schemas.evaluation import EvaluationScore

#: Suffixes of what each command writes; the empty one is a folder.
EVALUATIONS = (".extxyz", *ROW_SUFFIXES)
RELAXATIONS = (".extxyz", ".cif", ".csv", ".json", ".parquet", "")
DENSITIES = ROW_SUFFIXES
PHYSICS = ROW_SUFFIXES

#: Columns of the row of a relaxation: of its structure, and fields of its record.
_STRUCTURE_COLUMNS = pa.schema(
    [("structure", pa.string()), ("formula", pa.string()), ("n_atoms", pa.int64())]
)
_RECORD_COLUMNS = (
    "status",
    "energy",
    "initial_energy",
    "n_steps",
    "fmax",
    "error",
    "note",
)


def validate_output(path: Path | None, suffixes: Sequence[str] = ()) -> None:
    """Check that a file can be written, before anything is computed."""
    if path is None:
        return
    if suffixes and path.suffix not in suffixes:
        known = ", ".join(suffix for suffix in suffixes if suffix)
        folder = ", or a folder without suffix" if "" in suffixes else ""
        raise InputError(
            f"--output: expected a name that ends in {known}{folder}, got {path}"
        )
    if not path.parent.is_dir():
        raise InputError(f"--output: expected a folder at {path.parent}, got none")
    is_folder = "" in suffixes and not path.suffix
    if path.exists() and path.is_dir() is not is_folder:
        wanted, found = ("folder", "file") if is_folder else ("file", "folder")
        raise InputError(f"--output: expected a {wanted}, got a {found} at {path}")
    _require_writable(path if path.is_dir() else path.parent, "--output")


def validate_folder(path: Path | None, option: str) -> None:
    """Check that a folder can be made and written, before anything is computed."""
    if path is None:
        return
    existing = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not existing.is_dir():
        raise InputError(f"{option}: expected a folder, got a file at {existing}")
    _require_writable(existing, option)


def _require_writable(folder: Path, option: str) -> None:
    """Make and remove a file; permissions do not tell of file systems like /proc."""
    try:
        with TemporaryDirectory(dir=folder, prefix="."):
            pass
    except OSError as error:
        raise InputError(
            f"{option}: expected a folder that can be written, got {folder}: "
            f"{error.strerror}"
        ) from error


def write_evaluation(path: Path, score: EvaluationScore) -> None:
    """Write one row per frame: its errors, or the reason of a missing prediction."""
    columns = make_schema(FrameResiduals)
    schema = pa.schema([(column.name, column.type.value_type) for column in columns])
    values = score.rows.model_dump(mode="json")
    rows: list[dict[str, Any]] = [
        {**dict(zip(values, cells, strict=True)), "error": None}
        for cells in zip(*values.values(), strict=True)
    ]
    rows += [
        {**dict.fromkeys(values), "frame_id": name, "error": failure.reason}
        for failure in score.failures
        for name in failure.frame_ids
    ]
    write_rows(path, rows, schema.append(pa.field("error", pa.string())))


def write_relaxations(path: Path, records: Mapping[str, RelaxationRecord]) -> None:
    """Write relaxed structures, or rows without structures."""
    match path.suffix:
        case ".extxyz":
            write_relaxed_extxyz(path, records)
        case ".json":
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(records, cls=MontyEncoder))
        case ".parquet":
            with atomic_write(path) as temporary:
                write_relaxation_table(temporary, records)
        case ".csv":
            columns = make_schema(RelaxationRecord, _RECORD_COLUMNS)
            schema = pa.unify_schemas([_STRUCTURE_COLUMNS, columns])
            rows = [_tabulate(name, record) for name, record in records.items()]
            write_rows(path, rows, schema)
        case _:
            found = {name: record.structure for name, record in records.items()}
            write_cif(path, {n: each for n, each in found.items() if each is not None})


def write_densities(path: Path, rows: Sequence[DensityRecord]) -> None:
    """Write one row per crystal."""
    plain = [row.model_dump(mode="json") for row in rows]
    write_rows(path, plain, make_schema(DensityRecord))


def write_physics(path: Path, rows: Sequence[PhysicsRecord]) -> None:
    """Write one row per crystal and measure."""
    plain = [row.model_dump(mode="json") for row in rows]
    write_rows(path, plain, make_schema(PhysicsRecord))


def _tabulate(name: str, record: RelaxationRecord) -> dict[str, Any]:
    """List the columns of a relaxation."""
    structure = record.structure
    return {
        "structure": name,
        "formula": structure and structure.composition.reduced_formula,
        "n_atoms": structure and len(structure),
        **record.model_dump(mode="json", include=set(_RECORD_COLUMNS)),
    }
