"""Restart file of the unfinished relaxations of a shard."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.checked_files import (
    DamagedFileError,
    read_checked,
    set_aside,
    write_checked,
)
from nextrung.potentials.relaxation.restart import RestartPoint
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

#: Fields of a restart point with three numbers per row, and those with one number.
_ROWS: Final = ("rows", "previous_rows", "velocities")
_NUMBERS: Final = tuple(
    field.name for field in fields(RestartPoint) if field.name not in _ROWS
)


class RestartFile:
    """Restart points of the relaxations of a shard by material, in one file.

    The file is replaced atomically, and has a checksum. A damaged one is set aside,
    and its structures start from their initial coordinates.

    Parameters
    ----------
    path : Path
        Restart file.
    header : mapping of str to str
        Inputs of the relaxations, as of their log.
    """

    def __init__(self, path: Path, header: Mapping[str, str]) -> None:
        self.path = path
        self._identity = hashlib.sha256(json.dumps(dict(header)).encode()).hexdigest()
        self.points = self._read() if path.exists() else {}

    def update(
        self, points: Mapping[str, RestartPoint], finished: Container[str]
    ) -> None:
        """Add or replace restart points, and write all those of unfinished materials.

        Parameters
        ----------
        points : mapping of str to RestartPoint
            Restart points by material.
        finished : container of str
            Materials whose relaxation is finished.

        Raises
        ------
        InputError
            If the disk is full; the file is unchanged.
        """
        merged = {**self.points, **points}
        self.points = {n: point for n, point in merged.items() if n not in finished}
        try:
            write_checked(self.path, self._dump())
        except OSError as error:
            raise InputError(
                f"expected disk space for the restart file {self.path}, got: "
                f"{error.strerror}"
            ) from error

    def _dump(self) -> bytes:
        """Convert the restart points to arrays, material after material."""
        points = self.points.values()
        no_rows = np.zeros((0, 3))
        arrays = {
            name: np.concatenate([no_rows, *(getattr(p, name) for p in points)])
            for name in _ROWS
        }
        arrays |= {
            name: np.array([getattr(p, name) for p in points]) for name in _NUMBERS
        }
        buffer = BytesIO()
        np.savez(
            buffer,
            identity=np.array(self._identity),
            names=np.array(list(self.points), dtype=np.str_),
            n_rows=np.array([len(p.rows) for p in points], dtype=np.int64),
            **arrays,  # type: ignore[arg-type] # allow_pickle is none of them
        )
        return buffer.getvalue()

    def _read(self) -> dict[str, RestartPoint]:
        """Read the restart points; none of a damaged file."""
        try:
            content = read_checked(self.path)
        except DamagedFileError:
            set_aside(self.path, "unfinished structures are relaxed from the start")
            return {}
        with np.load(BytesIO(content)) as stored:
            arrays = dict(stored)
        if arrays["identity"] != self._identity:
            raise InputError(
                f"{self.path}: expected the restart file of this job, got another"
            )
        ends = np.cumsum(arrays["n_rows"])
        points = {}
        for position, name in enumerate(arrays["names"].tolist()):
            rows = slice(ends[position] - arrays["n_rows"][position], ends[position])
            numbers = {field: arrays[field][position].item() for field in _NUMBERS}
            coordinates = {field: arrays[field][rows] for field in _ROWS}
            points[name] = RestartPoint(**coordinates, **numbers)
        return points
