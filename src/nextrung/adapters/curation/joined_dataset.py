"""Data sets with further labels in their training split."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Element

from nextrung.adapters.curation.rules import FrameFilter
from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.frames import (
    read_frames,
    read_materials,
    write_frames,
    write_materials,
)
from nextrung.adapters.files.staging import StagingFolder
from nextrung.compute.curation.joined_labels import merge_identities
from nextrung.compute.curation.materials import count_frames_by_element
from nextrung.schemas.frames import SPLITS, Frames
from nextrung.schemas.improvement import LabelOutcome
from nextrung.schemas.labels.curation import Rejection
from nextrung.schemas.labels.materials import Materials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.dataset import DatasetDoc, DatasetSettings
    from nextrung.schemas.labels.trajectory import Trajectory

#: Fields of a data set that labels change.
_COUNTED = {"n_seen", "n_materials", "n_frames", "n_frames_before_deduplication"}


def join_labels(
    dataset: DatasetDoc,
    settings: DatasetSettings,
    found: Mapping[str, Trajectory | Rejection],
    *,
    material_ids: Mapping[str, str],
) -> dict[str, Any]:
    """Store a data set with further labels in training, and count its content.

    Parameters
    ----------
    dataset : DatasetDoc
        The data set.
    settings : DatasetSettings
        Rules that the labels must satisfy.
    found : mapping of str to Trajectory or Rejection
        Label of each structure, by its name, or why it has none.
    material_ids : mapping of str to str
        Material of each structure.

    Returns
    -------
    dict
        Fields of a :class:`~nextrung.schemas.improvement.LabelledDatasetDoc` except
        its settings and provenance. Every structure has an outcome; frames have the
        names of their structures, numbered where there are several.
    """
    named = {
        name: run
        if isinstance(run, Rejection)
        else _rename(run, name, material_ids[name])
        for name, run in found.items()
    }
    runs = [run for run in named.values() if not isinstance(run, Rejection)]
    frame_filter = FrameFilter(settings)
    parts = list(frame_filter.apply(runs))
    accepted = Frames.concatenate([frames for frames, _ in parts])
    known = read_frames(artifact_path(dataset.frames))
    added = replace(
        accepted.with_splits(np.full(len(accepted), "train", dtype="U5")),
        functional=known.functional,
    )
    rejected = {each.frame_id: each for _, listed in parts for each in listed}
    outcomes = [
        _describe(name, material_ids[name], run, added=added, rejected=rejected)
        for name, run in named.items()
    ]
    joined = Frames.concatenate([known, added])
    identity = merge_identities(dataset.identity, frame_filter.identities.tabulate())
    return {
        **dataset.model_dump(include={"labels", "functional", "n_rejected"}),
        "settings": dataset.settings,
        "n_skipped": dataset.n_skipped,
        "files": dataset.files,
        "rejections": dataset.rejections,
        "identity": identity,
        "outcomes": outcomes,
        **_store(dataset, joined, added),
    }


def _rename(run: Trajectory, name: str, material_id: str) -> Trajectory:
    """Name the frames of a run after their structure."""
    n_frames = len(run.frames)
    names = [name] if n_frames == 1 else [f"{name}#{step}" for step in range(n_frames)]
    frames = replace(
        run.frames,
        frame_ids=np.array(names, dtype=np.str_),
        material_ids=np.full(n_frames, material_id),
    )
    return replace(run, frames=frames)


def _describe(
    name: str,
    material_id: str,
    run: Trajectory | Rejection,
    *,
    added: Frames,
    rejected: Mapping[str, Rejection],
) -> LabelOutcome:
    """Describe the label of a structure, or why it has not joined the data set."""
    if isinstance(run, Rejection):
        return LabelOutcome(
            frame_id=name,
            material_id=material_id,
            n_frames=0,
            energy_per_atom=None,
            error=f"{run.rule}: {run.reason}",
        )
    kept = set(added.frame_ids.tolist()) & set(run.frames.frame_ids.tolist())
    reasons = [rejected[each] for each in run.frames.frame_ids if each in rejected]
    energy = float(run.frames.energies[-1] / run.frames.n_atoms[-1])
    return LabelOutcome(
        frame_id=name,
        material_id=material_id,
        n_frames=len(kept),
        energy_per_atom=energy if np.isfinite(energy) else None,
        error=None if kept else f"{reasons[0].rule}: {reasons[0].reason}",
    )


def _store(dataset: DatasetDoc, joined: Frames, added: Frames) -> dict[str, Any]:
    """Store frames and materials, and count them."""
    materials = _add_materials(read_materials(artifact_path(dataset.materials)), added)
    counts = dataset.model_dump(include=_COUNTED)
    counts |= {name: counts[name] + len(added) for name in _COUNTED - {"n_materials"}}
    by_element = count_frames_by_element(joined)
    order = sorted(by_element, key=lambda symbol: Element(symbol).Z)
    by_split = Counter(joined.splits.tolist())
    with StagingFolder() as folder:
        frames_file = folder / "frames.parquet"
        write_frames(joined, frames_file, {"labels": dataset.labels})
        materials_file = folder / "materials.parquet"
        write_materials(materials, materials_file)
        files = {
            "frames": store_artifact(frames_file, "frames"),
            "materials": store_artifact(materials_file, "materials"),
        }
    initial = materials.initial
    return {
        **counts,
        **files,
        "n_materials": len(materials),
        "n_materials_by_split": {n: int((initial.splits == n).sum()) for n in SPLITS},
        "n_frames_by_split": {name: by_split[name] for name in SPLITS},
        "element_counts": {symbol: by_element[symbol] for symbol in order},
    }


def _add_materials(known: Materials, added: Frames) -> Materials:
    """Add the materials of further frames; their relaxed energies are unknown."""
    names = set(known.initial.material_ids.tolist())
    _, first = np.unique(added.material_ids, return_index=True)
    new = [index for index in sorted(first) if added.material_ids[index] not in names]
    if not new:
        return known
    chosen = added[new]
    initial = Frames.from_structures(
        chosen.to_structures(),
        chosen.material_ids.tolist(),
        functional=known.initial.functional,
    ).with_splits(chosen.splits)
    unknown = np.full(len(new), np.nan)
    return Materials(
        Frames.concatenate([known.initial, initial]),
        np.concatenate([known.energies, unknown]),
        {
            name: np.concatenate([energies, unknown])
            for name, energies in known.by_functional.items()
        },
    )
