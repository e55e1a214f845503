"""A source of labels turned into curated, split and stored frames."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Element

from nextrung.adapters.artifacts import store_artifact
from nextrung.adapters.frames import write_frames, write_materials, write_rejections
from nextrung.adapters.sources import name_labels, read_source, source_digest
from nextrung.compute.curation import (
    check_energy_scale,
    check_frames,
    check_run,
    count_rejections,
    reject,
)
from nextrung.compute.deduplication import find_unique
from nextrung.compute.splitting import split_materials
from nextrung.potentials.potential import load_potential
from nextrung.schemas.base import Artifact, InputError
from nextrung.schemas.dataset import DistilledSource, Rejection, Rule
from nextrung.schemas.frames import SPLITS, Frames
from nextrung.schemas.materials import Materials
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nextrung.schemas.dataset import CurationSettings, DatasetSettings
    from nextrung.schemas.trajectory import Trajectory

__all__ = ["CuratedDataset", "curate", "source_digest", "store_dataset"]

#: Heaviest element a potential has a place for.
MAX_ATOMIC_NUMBER = 94


@dataclass(frozen=True, eq=False)
class CuratedDataset:
    """What is left of a source, and what is not.

    Parameters
    ----------
    frames : Frames
        The kept frames in their splits.
    materials : Materials
        The materials of the kept frames.
    rejections : sequence of Rejection
        What was left out.
    labels : str
        Where the labels come from, for readers.
    n_frames_before_deduplication : int
        Frames that broke no rule but the one on duplicates.
    """

    frames: Frames
    materials: Materials
    rejections: Sequence[Rejection]
    labels: str
    n_frames_before_deduplication: int


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
        If the source does not exist, no frame is usable, a frame holds an element
        beyond plutonium, or a split stays empty.
    """
    runs: list[Trajectory] = []
    rejections: list[Rejection] = []
    for run in read_source(settings.source, on_progress):
        if isinstance(run, Rejection):
            rejections.append(run)
        else:
            refuse_heavy_elements(run.frames)
            runs.append(run)
    runs = _keep(runs, [check_run(run, settings.curation) for run in runs], rejections)
    if not isinstance(settings.source, DistilledSource):
        scales = _check_energy_scales(runs, settings.curation)
        runs = _keep(runs, scales, rejections)
    good = []
    for run in runs:
        frames, broken = check_frames(run, settings.curation)
        rejections += broken
        good.append(frames)
    before = Frames.concatenate([frames for frames in good if len(frames)])
    if not len(before):
        raise InputError(f"no usable frame: {_summarise(rejections)}")
    frames, duplicates = _deduplicate(before, settings.curation)
    frames = frames.with_splits(split_materials(frames, settings.split))
    return CuratedDataset(
        frames=frames,
        materials=collect_materials(runs, frames),
        rejections=[*rejections, *duplicates],
        labels=name_labels(settings.source, frames.functional),
        n_frames_before_deduplication=len(before),
    )


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
    frames, initial = curated.frames, curated.materials.initial
    counts: dict[str, Any] = {
        "labels": curated.labels,
        "functional": frames.functional,
        "n_materials": len(initial),
        "n_frames": len(frames),
        "n_frames_before_deduplication": curated.n_frames_before_deduplication,
        "n_rejected": count_rejections(curated.rejections),
        "n_materials_by_split": {n: int((initial.splits == n).sum()) for n in SPLITS},
        "n_frames_by_split": {n: int((frames.splits == n).sum()) for n in SPLITS},
        "element_counts": count_frames_by_element(frames),
    }
    metadata = {"settings": settings.model_dump(mode="json"), **counts}
    return counts | {
        "frames": _store("frames", lambda path: write_frames(frames, path, metadata)),
        "materials": _store(
            "materials", lambda path: write_materials(curated.materials, path, metadata)
        ),
        "rejections": _store(
            "rejections", lambda path: write_rejections(curated.rejections, path)
        ),
    }


def refuse_heavy_elements(frames: Frames) -> None:
    """Refuse frames that no potential can have learnt.

    Parameters
    ----------
    frames : Frames
        Frames to look through.

    Raises
    ------
    InputError
        If an element lies beyond plutonium.
    """
    heavy = np.flatnonzero(frames.atomic_numbers > MAX_ATOMIC_NUMBER)
    if len(heavy):
        number = int(frames.atomic_numbers[heavy[0]])
        frame_id = frames.frame_ids[frames.frame_of_site[heavy[0]]]
        raise InputError(
            f"frame {frame_id}: expected elements up to Pu (Z = {MAX_ATOMIC_NUMBER}), "
            f"met {Element.from_Z(number)} (Z = {number})"
        )


def collect_materials(runs: Sequence[Trajectory], frames: Frames) -> Materials:
    """Collect initial structure and final energy of the materials of frames.

    Parameters
    ----------
    runs : sequence of Trajectory
        Runs that are wanted; those of one material in their order.
    frames : Frames
        The kept frames, in their splits.

    Returns
    -------
    Materials
        Materials in the order in which their frames come; the energy is NaN where the
        electronic steps of the final frame did not converge.
    """
    first: dict[str, Trajectory] = {}
    last: dict[str, Trajectory] = {}
    for run in runs:
        first.setdefault(run.material_id, run)
        last[run.material_id] = run
    splits = dict(zip(frames.material_ids.tolist(), frames.splits, strict=True))
    initial = Frames.from_structures(
        [first[name].frames[:1].to_structures()[0] for name in splits],
        list(splits),
        functional=frames.functional,
    )
    energies = [
        last[name].frames.energies[-1] / last[name].frames.n_atoms[-1]
        if last[name].converged[-1]
        else np.nan
        for name in splits
    ]
    return Materials(
        initial=initial.with_splits(np.array(list(splits.values()))),
        energies=np.array(energies) * initial.n_atoms,
    )


def count_frames_by_element(frames: Frames) -> dict[str, int]:
    """Count the frames that hold each element.

    Parameters
    ----------
    frames : Frames
        Frames of any materials.

    Returns
    -------
    dict of str to int
        Number of frames by symbol, in order of atomic number.
    """
    pairs = np.unique(
        np.stack([frames.atomic_numbers.astype(np.int64), frames.frame_of_site]), axis=1
    )
    counts = Counter(pairs[0].tolist())
    return {Element.from_Z(number).symbol: n for number, n in sorted(counts.items())}


def _keep(
    runs: Sequence[Trajectory],
    verdicts: Sequence[Sequence[Rejection]],
    rejections: list[Rejection],
) -> list[Trajectory]:
    """Keep the runs that no verdict rejects; collect the verdicts."""
    for verdict in verdicts:
        rejections.extend(verdict)
    return [run for run, verdict in zip(runs, verdicts, strict=True) if not verdict]


def _check_energy_scales(
    runs: Sequence[Trajectory], settings: CurationSettings
) -> list[list[Rejection]]:
    """Hold the final energy of every run against a potential of its functional."""
    name = settings.energy_scale.potentials.get(settings.functional)
    if name is None or not runs:
        return [[] for _ in runs]
    final = Frames.concatenate([run.frames[-1:] for run in runs])
    predicted, _ = load_potential(name).label(final, "e")
    return [
        check_energy_scale(run, energy, settings)
        for run, energy in zip(runs, predicted.energies.tolist(), strict=True)
    ]


def _deduplicate(
    frames: Frames, settings: CurationSettings
) -> tuple[Frames, list[Rejection]]:
    """Keep what differs among the frames of each material, and its final frame."""
    kept = np.zeros(len(frames), dtype=bool)
    for name in dict.fromkeys(frames.material_ids.tolist()):
        indices = np.flatnonzero(frames.material_ids == name)
        unique = find_unique(
            frames[indices], len(indices) - 1, settings.duplicate_tolerances
        )
        kept[indices[unique]] = True
    reason = "energy and structure are those of a frame that was kept"
    return frames[kept], reject(frames[~kept], Rule.DUPLICATE, reason)


def _summarise(rejections: Sequence[Rejection]) -> str:
    """Say in one line what happened to all frames."""
    counts = count_rejections(rejections)
    met = ", ".join(f"{rule} {count}" for rule, count in counts.items() if count)
    return f"all were rejected ({met})" if met else "the source is empty"


def _store(shelf: str, write: Callable[[Path], None]) -> Artifact:
    """Write a Parquet file beside the artifacts and name it by its content."""
    folder = MachineSettings().artifacts
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as temporary:
        path = Path(temporary) / f"{shelf}.parquet"
        write(path)
        return store_artifact(path, shelf)
