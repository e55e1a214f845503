"""Files of relaxations: a journal that survives kills, and a table when all is done."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from monty.json import MontyEncoder
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from nextrung.compute.collections import Outcome
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord

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
        ("atomic_numbers", pa.list_(pa.int16())),
        ("lattice", pa.list_(pa.float64())),
        ("frac_coords", pa.list_(pa.float64())),
    ]
)

#: Waiting for the disk after each of many short relaxations takes longer than they do.
SECONDS_BETWEEN_SYNCS = 1.0

#: Columns of the relaxed structure that describe its sites.
_SITES = ("atomic_numbers", "frac_coords")


class Journal:
    """Relaxations of one shard, a line each, written as they finish.

    A line outlives the process that wrote it, and a second later the machine.

    Reopening a journal gives back what is finished. A last line that a kill tore is
    dropped; any other damage, and a header that differs, are errors.

    Parameters
    ----------
    path : Path
        File of the journal.
    header : mapping of str to str
        What the relaxations depend on; stored as the first line.

    Raises
    ------
    InputError
        If the file is the journal of something else, or damaged.
    """

    def __init__(self, path: Path, header: Mapping[str, str]) -> None:
        self.path = path
        self.finished: dict[str, RelaxationRecord] = {}
        self.synced = 0.0
        if path.exists():
            self._resume(dict(header))
        if not path.exists():
            self._append({"header": dict(header)})

    def record(self, material_id: str, record: RelaxationRecord) -> None:
        """Add a finished relaxation; no end of this process loses it.

        Parameters
        ----------
        material_id : str
            Name of the material.
        record : RelaxationRecord
            How its relaxation ended.

        Raises
        ------
        InputError
            If the disk has no room for it; the journal is as before.
        """
        self._append({"id": material_id, "record": record})
        self.finished[material_id] = record

    def _append(self, line: dict[str, Any]) -> None:
        """Write one line, or nothing of it; now and then wait for the disk."""
        text = memoryview(json.dumps(line, cls=MontyEncoder).encode() + b"\n")
        with self.path.open("ab", buffering=0) as file:
            length = os.fstat(file.fileno()).st_size
            try:
                while text:
                    text = text[file.write(text) :]
                if time.monotonic() > self.synced + SECONDS_BETWEEN_SYNCS:
                    os.fsync(file.fileno())
                    self.synced = time.monotonic()
            except OSError as error:
                file.truncate(length)
                raise InputError(
                    f"expected room for a relaxation in {self.path}, met: "
                    f"{error.strerror}"
                ) from error

    def _resume(self, header: dict[str, str]) -> None:
        """Read the finished relaxations; cut off a torn last line."""
        content = self.path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            os.truncate(self.path, len(content) - len(torn))
        if not whole:
            self.path.unlink()
            return
        first, *lines = whole.split(b"\n")
        self._compare(first, header)
        for number, line in enumerate(lines, start=2):
            try:
                entry = json.loads(line)
                record = RelaxationRecord.model_validate(entry["record"])
            except (ValueError, KeyError, ValidationError) as error:
                raise InputError(
                    f"expected a relaxation in line {number} of {self.path}"
                ) from error
            self.finished[entry["id"]] = record

    def _compare(self, line: bytes, header: dict[str, str]) -> None:
        """Refuse a journal that is not of these relaxations."""
        try:
            found = dict(json.loads(line)["header"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"expected a header in line 1 of {self.path}") from error
        others = [
            f"{key} {found.get(key)} instead of {header.get(key)}"
            for key in sorted({**header, **found})
            if found.get(key) != header.get(key)
        ]
        if others:
            raise InputError(
                f"expected the journal of this job in {self.path}, met "
                f"{', '.join(others)}"
            )


def write_relaxations(path: Path, records: Mapping[str, RelaxationRecord]) -> None:
    """Write relaxations as a Parquet table.

    Parameters
    ----------
    path : Path
        File to write.
    records : mapping of str to RelaxationRecord
        How each relaxation ended, by material.
    """
    rows = [{"material_id": name, **_row(record)} for name, record in records.items()]
    pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), path, compression="zstd")


def read_relaxations(path: Path) -> dict[str, RelaxationRecord]:
    """Read a table of relaxations.

    Parameters
    ----------
    path : Path
        File that :func:`write_relaxations` wrote.

    Returns
    -------
    dict of str to RelaxationRecord
        How each relaxation ended, by material, in the order written.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    try:
        rows = pq.read_table(path, schema=_SCHEMA).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"expected a table of relaxations in {path}") from error
    return {row.pop("material_id"): _record(row) for row in rows}


def join_relaxations(parts: Sequence[Path], order: Sequence[str], path: Path) -> None:
    """Write several tables of relaxations as one.

    Parameters
    ----------
    parts : sequence of Path
        Files that :func:`write_relaxations` wrote.
    order : sequence of str
        Materials in the order wanted; each is in one of the parts.
    path : Path
        File to write.
    """
    joined = pa.concat_tables([pq.read_table(part, schema=_SCHEMA) for part in parts])
    rows = pc.index_in(
        pa.array(order, pa.string()), joined["material_id"].combine_chunks()
    )
    pq.write_table(joined.take(rows), path, compression="zstd")


def read_outcomes(path: Path) -> list[Outcome]:
    """Read how relaxations ended, and no site.

    Parameters
    ----------
    path : Path
        File that :func:`write_relaxations` wrote.

    Returns
    -------
    list of Outcome
        One per material, in the order written.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    columns = [name for name in _SCHEMA.names if name not in _SITES]
    try:
        rows = pq.read_table(path, columns=columns).to_pylist()
        return [_outcome(row) for row in rows]
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise InputError(f"expected a table of relaxations in {path}") from error


def _outcome(row: dict[str, Any]) -> Outcome:
    """Build an outcome from its columns."""
    name, lattice = row.pop("material_id"), row.pop("lattice")
    return Outcome(
        material_id=name,
        record=RelaxationRecord(structure=None, **row),
        volume=None if lattice is None else Lattice(lattice).volume,
    )


def _row(record: RelaxationRecord) -> dict[str, Any]:
    """Lay a record out as columns."""
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
    """Build a record from its columns."""
    numbers, lattice, frac_coords = (
        row.pop(column) for column in ("atomic_numbers", "lattice", "frac_coords")
    )
    structure = None
    if numbers is not None:
        structure = Structure(
            Lattice(lattice), numbers, np.reshape(frac_coords, (-1, 3))
        )
    return RelaxationRecord(structure=structure, **row)
