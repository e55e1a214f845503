"""Frames files taken as data sets, in the splits they have."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.adapters.files.artifacts import store_artifact
from nextrung.adapters.files.frame_stream import RejectionWriter
from nextrung.adapters.files.frames import (
    read_frames,
    read_metadata,
    write_materials,
)
from nextrung.adapters.files.staging import StagingFolder
from nextrung.compute.curation.materials import count_frames_by_element
from nextrung.compute.curation.rules import count_frames_by_label
from nextrung.schemas.frames import SPLITS, Frames
from nextrung.schemas.labels.materials import Materials

if TYPE_CHECKING:
    from pathlib import Path

#: Files of a data set, and the folders of their artifacts.
_FILES = ("frames", "materials", "rejections")


def store_frames_file(path: Path) -> dict[str, Any]:
    """Store the frames of a file as a data set, and count what is in them.

    Parameters
    ----------
    path : Path
        Frames file.

    Returns
    -------
    dict
        The fields of a :class:`~nextrung.schemas.dataset.DatasetDoc` but for its
        provenance; no frame is rejected, and no material has a target energy.

    Raises
    ------
    InputError
        If the file is not one of frames.
    """
    frames, metadata = read_frames(path), read_metadata(path)
    materials = _list_materials(frames)
    with StagingFolder() as folder:
        files = {name: folder / f"{name}.parquet" for name in _FILES}
        shutil.copyfile(path, files["frames"])
        write_materials(materials, files["materials"])
        with RejectionWriter(files["rejections"]):
            pass
        artifacts = {name: store_artifact(file, name) for name, file in files.items()}
    return artifacts | {
        "settings": metadata.get("settings"),
        "labels": metadata.get("labels") or frames.functional or "none",
        "functional": frames.functional,
        "n_seen": len(frames),
        "n_materials": len(materials),
        "n_frames": len(frames),
        "n_frames_before_deduplication": len(frames),
        "n_rejected": {},
        "n_materials_by_split": _count_splits(materials.initial),
        "n_frames_by_split": _count_splits(frames),
        "n_frames_by_label": count_frames_by_label(frames),
        "element_counts": count_frames_by_element(frames),
    }


def _list_materials(frames: Frames) -> Materials:
    """List the first structure of each material."""
    _, first = np.unique(frames.material_ids, return_index=True)
    chosen = frames[np.sort(first)]
    initial = Frames.from_structures(
        chosen.to_structures(),
        chosen.material_ids.tolist(),
        functional=frames.functional,
    )
    return Materials(initial.with_splits(chosen.splits), np.full(len(chosen), np.nan))


def _count_splits(frames: Frames) -> dict[str, int]:
    """Count the frames of each split."""
    return {split: int(np.sum(frames.splits == split)) for split in SPLITS}
