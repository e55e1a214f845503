"""The rule on duplicates, applied to a file of judged frames part by part."""

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

#: Frames of one part to compare from which several processes are worth their start.
WORTHWHILE = 1000


class DuplicateSearch:
    """Finds the frames of a file that say what another one of their material says.

    Parameters
    ----------
    path : Path
        What a :class:`~nextrung.adapters.files.frame_stream.FrameBuffer` has written.
    tolerances : sequence of DuplicateTolerance
        When two frames of a material are the same; none keeps every frame.
    split_across_parts : set of str
        Materials with frames in several parts of the file.

    Attributes
    ----------
    kept : list of ndarray of bool
        Which frames of each part are kept.
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
        """Fill in what is kept.

        Yields
        ------
        list of Rejection
            The duplicates of each part.
        """
        dropped = self._find_split_across_parts()
        for frames in stream_frames(self.path):
            whole = ~_find_names(frames.material_ids, self.split_across_parts)
            kept = ~_find_names(frames.frame_ids, dropped)
            kept[whole] = self._find_unique(frames[whole])
            self.kept.append(kept)
            for name, numbers in list_elements(frames[kept]).items():
                self.elements.setdefault(name, set()).update(numbers)
            yield Rejection.of(frames[~kept], Rule.DUPLICATE, "as a frame that is kept")

    def _find_split_across_parts(self) -> set[str]:
        """Name the duplicates of the materials that are in several parts."""
        if not self.split_across_parts:
            return set()
        parts = [
            frames[_find_names(frames.material_ids, self.split_across_parts)]
            for frames in stream_frames(self.path)
        ]
        frames = Frames.concatenate(parts)
        unique = self._find_unique(frames)
        return set(frames.frame_ids[~unique].tolist())

    def _find_unique(self, frames: Frames) -> NDArray[np.bool_]:
        """Say which frames are kept, each material looked at by itself."""
        kept = np.ones(len(frames), dtype=bool)
        candidates = find_candidates(frames, self.tolerances)
        parts = [frames[indices] for indices in candidates]
        for indices, unique in zip(candidates, self._compare(parts), strict=True):
            kept[indices] = False
            kept[indices[unique]] = True
        return kept

    def _compare(self, parts: Sequence[Frames]) -> Iterable[NDArray[np.int64]]:
        """Compare the frames of each material, in processes where there are many.

        Every material is judged by itself, so that the processes change nothing.
        """
        compare = partial(find_unique, tolerances=self.tolerances)
        if sum(map(len, parts)) < WORTHWHILE or MachineSettings().n_processes == 1:
            return map(compare, parts)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                MachineSettings().n_processes,
                mp_context=multiprocessing.get_context("spawn"),
            )
        return self._pool.map(compare, parts)


def _find_names(names: NDArray[np.str_], wanted: set[str]) -> NDArray[np.bool_]:
    """Say which names are among those wanted, without sorting them."""
    return np.array([name in wanted for name in names.tolist()], dtype=bool)
