from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.frame_stream import (
    FrameBuffer,
    FrameWriter,
    RejectionWriter,
    stream_frames,
)
from nextrung.adapters.files.frames import read_frames, read_metadata, read_rejections
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import Rejection, Rule

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def frames() -> Frames:
    """Five frames of one to five atoms with energies and stresses."""
    structures = [
        Structure(Lattice.cubic(n), ["H"] * n, np.random.default_rng(n).random((n, 3)))
        for n in range(1, 6)
    ]
    frames = Frames.from_structures(structures, functional="PBE")
    frames.energies[:] = range(5)
    frames.stresses[:] = 1.5
    return frames


def test_a_file_written_in_parts_is_read_as_one(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "frames.parquet"
    with FrameWriter(path, {"n_frames": 5}) as writer:
        for part in (frames[:2], frames[:0], frames[2:]):
            writer.write(part)

    whole = read_frames(path)

    assert whole.frame_ids.tolist() == frames.frame_ids.tolist()
    for name in ("offsets", "frac_coords", "energies", "stresses", "lattices"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(frames, name))
    assert read_metadata(path) == {"n_frames": 5}


def test_parts_are_read_as_written(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "frames.arrow"
    with FrameBuffer(path) as spool:
        spool.write(frames[:2])
        spool.write(frames[2:])

    parts = [part.frame_ids.tolist() for part in stream_frames(path)]

    assert parts == [["0", "1"], ["2", "3", "4"]]


def test_rejections_are_written_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "rejections.parquet"
    rejections = [
        Rejection(frame_id=name, material_id="m", rule=Rule.DUPLICATE, reason="twice")
        for name in "abc"
    ]
    with RejectionWriter(path) as writer:
        for part in (rejections[:1], [], rejections[1:]):
            writer.write(part)

    assert read_rejections(path) == rejections


def test_a_file_may_have_no_parts(tmp_path: Path) -> None:
    path = tmp_path / "rejections.parquet"
    with RejectionWriter(path):
        pass

    assert read_rejections(path) == []
