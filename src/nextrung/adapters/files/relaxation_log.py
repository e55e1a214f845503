"""Logs of finished relaxations, from which a killed job resumes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from monty.json import MontyEncoder

from nextrung.potentials.devices import is_device_failure
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

logger = logging.getLogger("nextrung")

#: Interval of fsync, which takes longer than a short relaxation.
SECONDS_BETWEEN_SYNCS = 1.0
_LINE: Final = re.compile(
    rb'\{"blake2b": "(?P<digest>[0-9a-f]{32})", "entry": (?P<body>.*)\}', re.DOTALL
)


class RelaxationLog:
    """Log of the finished relaxations of a shard, one JSON line each.

    A line survives a kill of the process, and a crash of the machine after one second.
    Each line has a checksum that depends on the header. Reopening a log reads the
    finished relaxations; an incomplete last line is removed, and damaged lines are
    counted and left out.

    Parameters
    ----------
    path : Path
        Log file.
    header : mapping of str to str
        Inputs of the relaxations; stored as the first line.

    Attributes
    ----------
    finished : dict of str to RelaxationRecord
        Finished relaxations by material.
    n_damaged : int
        Damaged lines.

    Raises
    ------
    InputError
        If the header of the file differs.
    """

    def __init__(self, path: Path, header: Mapping[str, str]) -> None:
        self.path = path
        self.finished: dict[str, RelaxationRecord] = {}
        self.n_damaged = 0
        self.synced = 0.0
        self._header = dict(header)
        self._key = hashlib.sha256(_dump(self._header)).digest()
        if path.exists():
            self._resume()
        if not path.exists():
            self._append(_seal({"header": self._header}))

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
        self._append(_seal({"id": material_id, "record": record}, self._key))
        self.finished[material_id] = record

    def _append(self, line: bytes) -> None:
        """Write a whole line or nothing; flush to disk at intervals."""
        text = memoryview(line)
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

    def _resume(self) -> None:
        """Read the finished relaxations; remove an incomplete last line."""
        content = self.path.read_bytes()
        whole, _, incomplete = content.rpartition(b"\n")
        if incomplete:
            os.truncate(self.path, len(content) - len(incomplete))
        if not whole:
            self.path.unlink()
            return
        first, *lines = whole.split(b"\n")
        header = _unseal(first)
        if header is not None:
            self._check_header(header["header"])
        entries = [_unseal(line, self._key) for line in lines]
        for entry in entries:
            if entry is not None:
                record = RelaxationRecord.model_validate(entry["record"])
                self.finished[entry["id"]] = record
        self.n_damaged = [header, *entries].count(None)
        if self.n_damaged:
            logger.warning(
                "%s: %d of %d lines are damaged; their materials are relaxed again",
                self.path,
                self.n_damaged,
                1 + len(lines),
            )

    def _check_header(self, found: dict[str, str]) -> None:
        """Raise for the log of other relaxations."""
        header = self._header
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


def _dump(entry: dict[str, Any]) -> bytes:
    """Convert an entry to JSON."""
    return json.dumps(entry, cls=MontyEncoder).encode()


def _digest(body: bytes, key: bytes) -> bytes:
    """Compute the checksum of the JSON of an entry."""
    return hashlib.blake2b(body, key=key, digest_size=16).hexdigest().encode()


def _seal(entry: dict[str, Any], key: bytes = b"") -> bytes:
    """Build the line of an entry, with its checksum."""
    body = _dump(entry)
    return b'{"blake2b": "%b", "entry": %b}\n' % (_digest(body, key), body)


def _unseal(line: bytes, key: bytes = b"") -> dict[str, Any] | None:
    """Return the entry of a line, or None for a damaged line."""
    match = _LINE.fullmatch(line)
    if match is None or match["digest"] != _digest(match["body"], key):
        return None
    entry: dict[str, Any] = json.loads(match["body"])
    return entry


@contextmanager
def crash_marker(path: Path) -> Iterator[bool]:
    """Keep a marker file while the block runs; yield whether a crash left one before.

    The marker stays after the failure of a device, which one of the structures may have
    caused.

    Parameters
    ----------
    path : Path
        Marker file.
    """
    crashed = path.exists()
    path.touch()
    device_failed = False
    try:
        yield crashed
    except RuntimeError as error:
        device_failed = is_device_failure(error)
        raise
    finally:
        if not device_failed:
            path.unlink(missing_ok=True)
