"""Journals of relaxations: what has ended survives the end of who wrote it."""

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

#: Waiting for the disk after each of many short relaxations takes longer than they do.
SECONDS_BETWEEN_SYNCS = 1.0


class RelaxationLog:
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
                    f"expected room for a relaxation in {self.path}, got: "
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
                f"expected the journal of this job in {self.path}, got "
                f"{', '.join(others)}"
            )


@contextmanager
def crash_marker(path: Path) -> Iterator[bool]:
    """Mark that an attempt is made, until it ends in one way or another.

    Parameters
    ----------
    path : Path
        File of the mark.

    Yields
    ------
    bool
        Whether an earlier attempt has left its mark: its process was killed, or has
        crashed.
    """
    crashed = path.exists()
    path.touch()
    try:
        yield crashed
    finally:
        path.unlink(missing_ok=True)
