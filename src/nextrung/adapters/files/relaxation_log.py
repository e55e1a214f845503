"""Logs of finished relaxations, from which a killed job resumes."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from monty.json import MontyEncoder
from pydantic import ValidationError

from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Interval of fsync, which takes longer than a short relaxation.
SECONDS_BETWEEN_SYNCS = 1.0


class RelaxationLog:
    """Log of the finished relaxations of a shard, one JSON line each.

    A line survives a kill of the process, and a crash of the machine after one second.
    Reopening a log reads the finished relaxations; an incomplete last line is removed.

    Parameters
    ----------
    path : Path
        Log file.
    header : mapping of str to str
        Inputs of the relaxations; stored as the first line.

    Raises
    ------
    InputError
        If the header of the file differs, or another line is damaged.
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
        """Add a finished relaxation.

        Parameters
        ----------
        material_id : str
            Name of the material.
        record : RelaxationRecord
            Its relaxation.

        Raises
        ------
        InputError
            If the disk is full; the log is unchanged.
        """
        self._append({"id": material_id, "record": record})
        self.finished[material_id] = record

    def _append(self, line: dict[str, Any]) -> None:
        """Write a whole line or nothing; flush to disk at intervals."""
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
                    f"expected disk space for a relaxation in {self.path}, got: "
                    f"{error.strerror}"
                ) from error

    def _resume(self, header: dict[str, str]) -> None:
        """Read the finished relaxations; remove an incomplete last line."""
        content = self.path.read_bytes()
        whole, _, incomplete = content.rpartition(b"\n")
        if incomplete:
            os.truncate(self.path, len(content) - len(incomplete))
        if not whole:
            self.path.unlink()
            return
        first, *lines = whole.split(b"\n")
        self._check_header(first, header)
        for number, line in enumerate(lines, start=2):
            try:
                entry = json.loads(line)
                record = RelaxationRecord.model_validate(entry["record"])
            except (ValueError, KeyError, ValidationError) as error:
                raise InputError(
                    f"expected a relaxation in line {number} of {self.path}"
                ) from error
            self.finished[entry["id"]] = record

    def _check_header(self, line: bytes, header: dict[str, str]) -> None:
        """Raise for the log of other relaxations."""
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
                f"expected the relaxation log of this job in {self.path}, got "
                f"{', '.join(others)}"
            )


@contextmanager
def crash_marker(path: Path) -> Iterator[bool]:
    """Keep a marker file while the block runs; yield whether a crash left one before.

    Parameters
    ----------
    path : Path
        Marker file.
    """
    crashed = path.exists()
    path.touch()
    try:
        yield crashed
    finally:
        path.unlink(missing_ok=True)
