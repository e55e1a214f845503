"""A source of labels turned into curated, split and stored frames."""

from __future__ import annotations

import shutil
import weakref
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Element

from nextrung.adapters.curation.duplicates import DuplicateSearch
from nextrung.adapters.curation.rules import FrameFilter
from nextrung.adapters.files.artifacts import store_artifact
from nextrung.adapters.files.frame_stream import (
    FrameBuffer,
    FrameWriter,
    RejectionWriter,
    stream_frames,
)
from nextrung.adapters.files.frames import read_rejections, write_materials
from nextrung.adapters.files.staging import StagingFolder, remove_stale
from nextrung.adapters.sources.registry import name_labels, read_source, source_digest
from nextrung.compute.curation.materials import (
    count_frames_by_element,
    validate_unique_names,
)
from nextrung.compute.curation.splitting import split_materials
from nextrung.schemas.base import Artifact, InputError
from nextrung.schemas.frames import SPLITS, Frames
from nextrung.schemas.labels.curation import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.dataset import DatasetSettings
    from nextrung.schemas.labels.curation import Rejection
    from nextrung.schemas.labels.materials import Materials

__all__ = ["CuratedDataset", "curate", "source_digest", "store_dataset"]

#: Files of a data set in the making, in a folder that goes when it is forgotten.
JUDGED, REJECTED = "judged.arrow", "rejections.parquet"


@dataclass(frozen=True, eq=False)
class CuratedDataset:
    """What is left of a source, and what is not; the frames are on disk.

    Parameters
    ----------
    folder : Path
        Where they are, as long as this object is.
    kept : sequence of ndarray of bool
        Which frames of each part of the file are kept.
    splits : mapping of str to str
        Split of every material.
    materials : Materials
        The materials of the kept frames.
    n_rejected : mapping of Rule to int
        Frames and files left out, by rule.
    n_skipped : mapping of Rule to int
        Frames that a rule could not frame_filter.
    labels : str
        Where the labels come from, for readers.
    corrections : mapping of str to float
        What was added to the energies of a material in eV/atom; nothing where it is
        not named.
    """

    folder: Path
    kept: Sequence[NDArray[np.bool_]]
    splits: Mapping[str, str]
    materials: Materials
    n_rejected: Mapping[Rule, int]
    n_skipped: Mapping[Rule, int]
    labels: str
    corrections: Mapping[str, float | None]

    @property
    def frames(self) -> Frames:
        """The kept frames in their splits, all at once."""
        return Frames.concatenate(list(self.stream()))

    @property
    def rejections(self) -> list[Rejection]:
        """What was left out, all at once."""
        return read_rejections(self.folder / REJECTED)

    @property
    def n_frames_before_deduplication(self) -> int:
        """Frames that broke no rule but the one on duplicates."""
        return sum(len(part) for part in self.kept)

    def stream(self) -> Iterator[Frames]:
        """Read the kept frames in their splits, part by part.

        Yields
        ------
        Frames
            Some thousand frames; a material's may be in several parts.
        """
        parts = stream_frames(self.folder / JUDGED)
        for judged, kept in zip(parts, self.kept, strict=True):
            frames = judged[kept]
            splits = [self.splits[name] for name in frames.material_ids.tolist()]
            yield frames.with_splits(np.array(splits, dtype="U5"))


def curate(
    settings: DatasetSettings,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> CuratedDataset:
    """Read, curate and split the frames of a source.

    Parameters
    ----------
    settings : DatasetSettings
        Where frames come from, which are kept, and how they are split.
    on_progress : callable, optional
        Told the number of steps done, of all steps, and what is done.

    Returns
    -------
    CuratedDataset
        Frames, materials and rejections.

    Raises
    ------
    InputError
        If the source does not exist, no frame is usable, two frames have one name, a
        frame holds an element beyond plutonium or lacks what a rule must know, or a
        split stays empty.

    Notes
    -----
    Frames pass through memory in parts of some thousand, whatever the number of all.
    """
    remove_stale()
    with ExitStack() as stack:
        folder = StagingFolder()
        stack.callback(folder.remove)
        curated = _curate(folder.path, settings, on_progress)
        stack.pop_all()
    weakref.finalize(curated, folder.remove)
    return curated


def store_dataset(curated: CuratedDataset, settings: DatasetSettings) -> dict[str, Any]:
    """Store the files of a data set and count what is in them.

    Parameters
    ----------
    curated : CuratedDataset
        What is left of a source, and what is not.
    settings : DatasetSettings
        How it was made; kept in the files' metadata.

    Returns
    -------
    dict
        The fields of a :class:`~nextrung.schemas.dataset.DatasetDoc` but for its
        settings and provenance.
    """
    counts = _count(curated, settings)
    metadata = {"settings": settings.model_dump(mode="json"), **counts}

    def write_parts(path: Path) -> None:
        with FrameWriter(path, metadata) as writer:
            for frames in curated.stream():
                added = [curated.corrections.get(m) or 0.0 for m in frames.material_ids]
                writer.write(frames, frames.energies - added * frames.n_atoms)

    return counts | {
        "frames": _store("frames", write_parts),
        "materials": _store(
            "materials", lambda path: write_materials(curated.materials, path, metadata)
        ),
        "rejections": _store(
            "rejections",
            lambda path: Path(shutil.copy(curated.folder / REJECTED, path)),
        ),
    }


def _curate(
    folder: Path,
    settings: DatasetSettings,
    on_progress: Callable[[int, int, str], None],
) -> CuratedDataset:
    """Write good frames and rejections to a folder; find duplicates and splits."""
    frame_filter, n_rejected = FrameFilter(settings), Counter(dict.fromkeys(Rule, 0))
    with RejectionWriter(folder / REJECTED) as rejections:
        with FrameBuffer(folder / JUDGED) as spool:
            found = read_source(settings.source, on_progress)
            for good, broken in frame_filter.apply(found):
                spool.write(good)
                rejections.write(broken)
                n_rejected.update(rejection.rule for rejection in broken)
        if not len(frame_filter.names):
            raise InputError(_explain_nothing(settings, n_rejected))
        validate_unique_names(frame_filter.names)
        tolerances = settings.curation.duplicate_tolerances
        with DuplicateSearch(
            folder / JUDGED, tolerances, frame_filter.split_across_parts
        ) as search:
            for broken in search.find_duplicates():
                rejections.write(broken)
                n_rejected[Rule.DUPLICATE] += len(broken)
    splits = split_materials(search.elements, settings.split)
    return CuratedDataset(
        folder=folder,
        kept=search.kept,
        splits=splits,
        materials=frame_filter.materials.collect(splits),
        n_rejected=dict(n_rejected),
        n_skipped=dict(frame_filter.n_skipped),
        labels=name_labels(settings.source, settings.curation.functional),
        corrections=frame_filter.corrections,
    )


def _count(curated: CuratedDataset, settings: DatasetSettings) -> dict[str, Any]:
    """Count what is in a data set."""
    initial = curated.materials.initial
    by_split: Counter[str] = Counter(dict.fromkeys(SPLITS, 0))
    by_element: Counter[str] = Counter()
    for frames in curated.stream():
        by_split.update(frames.splits.tolist())
        by_element.update(count_frames_by_element(frames))
    order = sorted(by_element, key=lambda symbol: Element(symbol).Z)
    return {
        "labels": curated.labels,
        "functional": settings.curation.functional,
        "n_materials": len(initial),
        "n_frames": by_split.total(),
        "n_frames_before_deduplication": curated.n_frames_before_deduplication,
        "n_rejected": curated.n_rejected,
        "n_skipped": curated.n_skipped,
        "n_materials_by_split": {n: int((initial.splits == n).sum()) for n in SPLITS},
        "n_frames_by_split": dict(by_split),
        "element_counts": {symbol: by_element[symbol] for symbol in order},
    }


def _explain_nothing(settings: DatasetSettings, counts: Mapping[Rule, int]) -> str:
    """Say in one line what happened to all frames of a source."""
    got = ", ".join(f"{rule} {count}" for rule, count in counts.items() if count)
    paths = getattr(settings.source, "paths", ())
    where = ", ".join(paths) or f"the {settings.source.kind} source"
    return f"expected usable frames, got none in {where} (rejected: {got or 'none'})"


def _store(shelf: str, write: Callable[[Path], object]) -> Artifact:
    """Write a Parquet file beside the artifacts and name it by its content."""
    with StagingFolder() as folder:
        path = folder / f"{shelf}.parquet"
        write(path)
        return store_artifact(path, shelf)
