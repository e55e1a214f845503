"""Curation and splitting of the frames of a label source."""

from __future__ import annotations

import weakref
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.adapters.curation.duplicates import DuplicateSearch
from nextrung.adapters.curation.rules import FrameFilter
from nextrung.adapters.files.frame_stream import (
    FrameBuffer,
    RejectionWriter,
    stream_frames,
)
from nextrung.adapters.files.frames import read_rejections
from nextrung.adapters.files.staging import StagingFolder, remove_stale
from nextrung.adapters.sources.registry import (
    count_files,
    name_labels,
    read_source,
    source_digest,
)
from nextrung.compute.curation.materials import validate_unique_names
from nextrung.compute.curation.split_groups import group_materials
from nextrung.compute.curation.splitting import list_members, split_materials
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import SplitUnit
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import Label, Rule
from nextrung.schemas.labels.identity import IdentitySummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nextrung.compute.curation.materials import MaterialCollector
    from nextrung.schemas.dataset import DatasetSettings, SplitSettings
    from nextrung.schemas.labels.curation import Rejection
    from nextrung.schemas.labels.identity import FileCounts
    from nextrung.schemas.labels.materials import Materials

__all__ = ["REJECTED", "CuratedDataset", "curate", "source_digest"]

#: Files of a data set in its staging folder.
ACCEPTED, REJECTED = "accepted.arrow", "rejections.parquet"


@dataclass(frozen=True, eq=False)
class CuratedDataset:
    """Accepted and rejected frames of a source, on disk.

    Parameters
    ----------
    folder : Path
        Folder of the files, which is removed with this object.
    kept : sequence of ndarray of bool
        Mask of the frames of each part that are not duplicates.
    splits : mapping of str to str
        Split of every material.
    materials : Materials
        Materials of the kept frames.
    n_seen : int
        Frames read, and files or documents that gave none.
    n_rejected : mapping of Rule to int
        Rejected frames and files, by rule.
    n_skipped : mapping of Rule to int
        Frames to which a rule could not be applied.
    labels : str
        Name of the labels, for headings.
    corrections : mapping of str to float
        Correction of the energies of a material in eV/atom; 0 where it is missing.
    files : FileCounts, optional
        Files of folders of VASP runs.
    identity : IdentitySummary
        How the accepted runs were calculated.
    """

    folder: Path
    kept: Sequence[NDArray[np.bool_]]
    splits: Mapping[str, str]
    materials: Materials
    n_seen: int
    n_rejected: Mapping[Rule, int]
    n_skipped: Mapping[Rule, int]
    labels: str
    corrections: Mapping[str, float | None]
    files: FileCounts | None
    identity: IdentitySummary

    @property
    def frames(self) -> Frames:
        """All kept frames with their splits."""
        return Frames.concatenate(list(self.stream()))

    @property
    def rejections(self) -> list[Rejection]:
        """All rejections."""
        return read_rejections(self.folder / REJECTED)

    @property
    def n_frames_before_deduplication(self) -> int:
        """Number of kept frames and duplicates."""
        return sum(len(part) for part in self.kept)

    def stream(self) -> Iterator[Frames]:
        """Read the kept frames with their splits, some thousand at a time."""
        parts = stream_frames(self.folder / ACCEPTED)
        for part, kept in zip(parts, self.kept, strict=True):
            frames = part[kept]
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
        Source, curation and split of the frames.
    on_progress : callable, optional
        Receives the number of steps done, of all steps, and a description.

    Raises
    ------
    InputError
        If the source does not exist, no frame is accepted, two frames have the same
        name, a frame has an element beyond plutonium or lacks the input of a rule, or a
        split is empty.

    Notes
    -----
    Memory holds some thousand frames at a time, independent of the total.
    """
    remove_stale()
    with ExitStack() as stack:
        folder = StagingFolder()
        stack.callback(folder.remove)
        curated = _curate(folder.path, settings, on_progress)
        stack.pop_all()
    weakref.finalize(curated, folder.remove)
    return curated


def _curate(
    folder: Path,
    settings: DatasetSettings,
    on_progress: Callable[[int, int, str], None],
) -> CuratedDataset:
    """Write accepted frames and rejections to a folder; find duplicates and splits."""
    frame_filter, n_rejected = FrameFilter(settings), Counter(dict.fromkeys(Rule, 0))
    with RejectionWriter(folder / REJECTED) as rejections:
        with FrameBuffer(folder / ACCEPTED) as buffer:
            found = read_source(settings.source, on_progress)
            for accepted, rejected in frame_filter.apply(found):
                buffer.write(accepted)
                rejections.write(rejected)
                n_rejected.update(rejection.rule for rejection in rejected)
        if not len(frame_filter.names):
            raise InputError(_describe_empty(settings, n_rejected))
        validate_unique_names(frame_filter.names)
        tolerances = settings.curation.duplicate_tolerances
        with DuplicateSearch(
            folder / ACCEPTED, tolerances, frame_filter.split_across_parts
        ) as search:
            for duplicates in search.find_duplicates():
                rejections.write(duplicates)
                n_rejected[Rule.DUPLICATE] += len(duplicates)
    groups = _group_materials(frame_filter.materials, search.elements, settings.split)
    splits = split_materials(search.elements, settings.split, groups)
    n_kept = sum(int(part.sum()) for part in search.kept)
    if n_kept + n_rejected.total() != frame_filter.n_seen:
        raise RuntimeError(
            f"expected {frame_filter.n_seen} frames and files in all, got {n_kept} "
            f"kept and {n_rejected.total()} rejected"
        )
    return CuratedDataset(
        folder=folder,
        kept=search.kept,
        splits=splits,
        materials=frame_filter.materials.collect(splits),
        n_seen=frame_filter.n_seen,
        n_rejected=dict(n_rejected),
        n_skipped=dict(frame_filter.n_skipped),
        labels=name_labels(settings.source, settings.curation.functional),
        corrections=frame_filter.corrections,
        files=count_files(
            settings.source, frame_filter.n_runs, frame_filter.n_unreadable
        ),
        identity=IdentitySummary(
            identities=frame_filter.identities.tabulate(),
            mixtures=frame_filter.identities.find_mixtures(),
            same_crystals=_list_same_crystals(groups, settings.split),
        ),
    )


def _group_materials(
    materials: MaterialCollector, names: Iterable[str], settings: SplitSettings
) -> dict[str, str]:
    """Group the materials by the unit of the split; none where nothing is held out."""
    if not settings.val and not settings.test:
        return {}
    return group_materials(materials.final_structures(names), settings)


def _list_same_crystals(
    groups: Mapping[str, str], settings: SplitSettings
) -> list[list[str]]:
    """List the materials of several names that are one crystal, where that is known."""
    if settings.unit is not SplitUnit.CRYSTAL:
        return []
    return [names for names in list_members(groups).values() if len(names) > 1]


def _describe_empty(settings: DatasetSettings, counts: Mapping[Rule, int]) -> str:
    """Describe in one line why no frame of a source is accepted."""
    got = ", ".join(f"{rule} {count}" for rule, count in counts.items() if count)
    paths = getattr(settings.source, "paths", ())
    where = ", ".join(paths) or f"the {settings.source.kind} source"
    text = f"expected usable frames, got none in {where} (rejected: {got or 'none'})"
    required = settings.curation.required_labels
    if counts[Rule.MISSING_LABEL] and required != (Label.ENERGY,):
        text += (
            f"; required_labels are {', '.join(required)}: frames of energies alone "
            "take curation.required_labels: [energy]"
        )
    return text
