"""Files of frames and rejections that are written and read in parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from nextrung.adapters.files.frame_table import (
    frames_from_table,
    frames_to_columns,
    nan_to_null,
)
from nextrung.adapters.files.frames import (
    FRAME_SCHEMA,
    METADATA_KEY,
    REJECTION_SCHEMA,
    WRITING,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.curation import Rejection


class _Writer:
    """Context manager of a Parquet file that is written by row groups."""

    schema: pa.Schema

    def __init__(self, path: Path, metadata: Mapping[str, Any] | None = None) -> None:
        packed = {METADATA_KEY: json.dumps(metadata or {}, sort_keys=True)}
        self.file = pq.ParquetWriter(path, self.schema.with_metadata(packed), **WRITING)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class FrameWriter(_Writer):
    """Writer of a frames file, one row group at a time.

    Parameters
    ----------
    path : Path
        File to write.
    metadata : mapping, optional
        Settings and counts to keep in the file, as JSON values.
    """

    schema = FRAME_SCHEMA.append(pa.field("raw_energy", pa.float64()))

    def write(self, frames: Frames, raw: NDArray[np.float64] | None = None) -> None:
        """Write frames as one row group.

        Parameters
        ----------
        frames : Frames
            Frames to write; labels that are NaN are written as null.
        raw : ndarray of float, shape (n_frames,), optional
            Total energies before corrections in eV; the energies by default.
        """
        if len(frames):
            columns = frames_to_columns(frames)
            columns["raw_energy"] = nan_to_null(frames.energies if raw is None else raw)
            self.file.write_table(pa.table(columns, schema=self.file.schema))


class RejectionWriter(_Writer):
    """Writer of a rejections file, one row group at a time.

    Parameters
    ----------
    path : Path
        File to write.
    metadata : mapping, optional
        Settings and counts to keep in the file, as JSON values.
    """

    schema = REJECTION_SCHEMA

    def write(self, rejections: Sequence[Rejection]) -> None:
        """Write rejections as one row group.

        Parameters
        ----------
        rejections : sequence of Rejection
            Rejections to write.
        """
        if rejections:
            rows = [rejection.model_dump(mode="json") for rejection in rejections]
            self.file.write_table(pa.Table.from_pylist(rows, schema=self.file.schema))


class FrameBuffer:
    """Buffer of frames on disk, in parts with Arrow's memory layout.

    Parameters
    ----------
    path : Path
        Arrow IPC file to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = pa.ipc.new_file(path, FRAME_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, frames: Frames) -> None:
        """Write frames as one part.

        Parameters
        ----------
        frames : Frames
            Frames to write.
        """
        self.file.write_batch(pa.record_batch(frames_to_columns(frames), FRAME_SCHEMA))


def stream_frames(path: Path) -> Iterator[Frames]:
    """Read the parts of a :class:`FrameBuffer`, one at a time.

    Parameters
    ----------
    path : Path
        File of the buffer; it is not validated.
    """
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as parts:
        for index in range(parts.num_record_batches):
            yield frames_from_table(pa.Table.from_batches([parts.get_batch(index)]))
