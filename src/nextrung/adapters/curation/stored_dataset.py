"""Files of a data set as artifacts, and counts of their content."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymatgen.core import Element

from nextrung.adapters.curation.dataset import REJECTED
from nextrung.adapters.files.artifacts import store_artifact
from nextrung.adapters.files.frame_stream import FrameWriter
from nextrung.adapters.files.frames import write_materials
from nextrung.adapters.files.staging import StagingFolder
from nextrung.compute.curation.materials import count_frames_by_element
from nextrung.compute.curation.rules import count_frames_by_label
from nextrung.schemas.frames import SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextrung.adapters.curation.dataset import CuratedDataset
    from nextrung.schemas.base import Artifact
    from nextrung.schemas.dataset import DatasetSettings


def store_dataset(curated: CuratedDataset, settings: DatasetSettings) -> dict[str, Any]:
    """Store the files of a data set as artifacts, and count their content.

    Parameters
    ----------
    curated : CuratedDataset
        Accepted and rejected frames.
    settings : DatasetSettings
        Its settings; stored in the metadata of the files.

    Returns
    -------
    dict
        Fields of a :class:`~nextrung.schemas.dataset.DatasetDoc` except settings and
        provenance.
    """
    counts = _count(curated, settings)
    metadata = {"settings": settings.model_dump(mode="json"), **counts}

    def write_parts(path: Path) -> None:
        with FrameWriter(path, metadata) as writer:
            for frames in curated.stream():
                added = [curated.corrections.get(m) or 0.0 for m in frames.material_ids]
                writer.write(frames, frames.energies - added * frames.n_atoms)

    return counts | {
        "files": curated.files,
        "identity": curated.identity,
        "frames": _store("frames", write_parts),
        "materials": _store(
            "materials", lambda path: write_materials(curated.materials, path, metadata)
        ),
        "rejections": _store(
            "rejections",
            lambda path: Path(shutil.copy(curated.folder / REJECTED, path)),
        ),
    }


def _count(curated: CuratedDataset, settings: DatasetSettings) -> dict[str, Any]:
    """Count materials, frames, rejections and elements of a data set."""
    initial = curated.materials.initial
    by_split: Counter[str] = Counter(dict.fromkeys(SPLITS, 0))
    by_label: Counter[str] = Counter()
    by_element: Counter[str] = Counter()
    for frames in curated.stream():
        by_split.update(frames.splits.tolist())
        by_label.update(count_frames_by_label(frames))
        by_element.update(count_frames_by_element(frames))
    order = sorted(by_element, key=lambda symbol: Element(symbol).Z)
    return {
        "labels": curated.labels,
        "functional": settings.curation.functional,
        "n_seen": curated.n_seen,
        "n_materials": len(initial),
        "n_frames": by_split.total(),
        "n_frames_before_deduplication": curated.n_frames_before_deduplication,
        "n_rejected": curated.n_rejected,
        "n_skipped": curated.n_skipped,
        "n_materials_by_split": {n: int((initial.splits == n).sum()) for n in SPLITS},
        "n_frames_by_split": dict(by_split),
        "n_frames_by_label": dict(by_label),
        "element_counts": {symbol: by_element[symbol] for symbol in order},
    }


def _store(kind: str, write: Callable[[Path], object]) -> Artifact:
    """Write a Parquet file to a staging folder and store it as an artifact."""
    with StagingFolder() as folder:
        path = folder / f"{kind}.parquet"
        write(path)
        return store_artifact(path, kind)
