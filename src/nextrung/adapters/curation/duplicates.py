"""Search for duplicate frames in a buffer of checked frames."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np

from nextrung.adapters.files.frame_stream import stream_frames
from nextrung.compute.curation.duplicates import (
    find_candidates,
    find_unique,
)
from nextrung.compute.curation.materials import list_elements
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nextrung.schemas.labels.curation import DuplicateTolerance

#: Fewest frames of one part that are compared in several processes.
MIN_PARALLEL = 1000


class DuplicateSearch:
    """Search for duplicates among the frames of each material.

    Parameters
    ----------
    path : Path
        File of a :class:`~nextrung.adapters.files.frame_stream.FrameBuffer`.
    tolerances : sequence of DuplicateTolerance
        Tolerances within which frames are duplicates; without any, all are kept.
    split_across_parts : set of str
        Materials with frames in several parts of the file.

    Attributes
    ----------
    kept : list of ndarray of bool
        Mask of the kept frames of each part.
    elements : dict of str to set of int
        Atomic numbers of every material that has a kept frame.
    """

    def __init__(
        self,
        path: Path,
        tolerances: Sequence[DuplicateTolerance],
        split_across_parts: set[str],
    ) -> None:
        self.path = path
        self.tolerances = tolerances
        self.split_across_parts = split_across_parts
        self.kept: list[NDArray[np.bool_]] = []
        self.elements: dict[str, set[int]] = {}
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def find_duplicates(self) -> Iterator[list[Rejection]]:
        """Yield the duplicates of each part; fill in the attributes."""
        duplicates = self._find_across_parts()
        for frames in stream_frames(self.path):
            within = ~_is_in(frames.material_ids, self.split_across_parts)
            kept = ~_is_in(frames.frame_ids, duplicates)
            kept[within] = self._find_unique(frames[within])
            self.kept.append(kept)
            for name, numbers in list_elements(frames[kept]).items():
                self.elements.setdefault(name, set()).update(numbers)
            yield Rejection.of(
                frames[~kept], Rule.DUPLICATE, "duplicates a frame that is kept"
            )

    def _find_across_parts(self) -> set[str]:
        """Find the duplicates of the materials that are in several parts."""
        if not self.split_across_parts:
            return set()
        parts = [
            frames[_is_in(frames.material_ids, self.split_across_parts)]
            for frames in stream_frames(self.path)
        ]
        frames = Frames.concatenate(parts)
        unique = self._find_unique(frames)
        return set(frames.frame_ids[~unique].tolist())

    def _find_unique(self, frames: Frames) -> NDArray[np.bool_]:
        """Mask the frames that are kept, material by material."""
        kept = np.ones(len(frames), dtype=bool)
        candidates = find_candidates(frames, self.tolerances)
        parts = [frames[indices] for indices in candidates]
        for indices, unique in zip(candidates, self._compare(parts), strict=True):
            kept[indices] = False
            kept[indices[unique]] = True
        return kept

    def _compare(self, parts: Sequence[Frames]) -> Iterable[NDArray[np.int64]]:
        """Compare the frames of each material, in several processes if there are many.

        Materials are independent, so the result does not depend on the processes.
        """
        compare = partial(find_unique, tolerances=self.tolerances)
        if sum(map(len, parts)) < MIN_PARALLEL or MachineSettings().n_processes == 1:
            return map(compare, parts)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                MachineSettings().n_processes,
                mp_context=multiprocessing.get_context("spawn"),
            )
        return self._pool.map(compare, parts)


def _is_in(names: NDArray[np.str_], selected: set[str]) -> NDArray[np.bool_]:
    """Mask the names that are in a set, faster than np.isin, which sorts."""
    return np.array([name in selected for name in names.tolist()], dtype=bool)
