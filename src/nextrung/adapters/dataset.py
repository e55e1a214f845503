"""A source of labels turned into curated, split and stored frames."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextrung.adapters.artifacts import store_artifact
from nextrung.adapters.frames import write_frames, write_materials, write_rejections
from nextrung.adapters.sources import name_labels, read_source, source_digest
from nextrung.compute.curation import (
    check_energy_scale,
    check_frames,
    check_primary_task,
    check_run,
    count_rejections,
    reject,
)
from nextrung.compute.dataset import (
    collect_materials,
    count_frames_by_element,
    refuse_heavy_elements,
    refuse_repeated_names,
)
from nextrung.compute.deduplication import find_unique_frames
from nextrung.compute.splitting import split_materials
from nextrung.potentials.potential import load_potential
from nextrung.schemas.base import Artifact, InputError
from nextrung.schemas.dataset import DistilledSource, Rejection, Rule
from nextrung.schemas.frames import SPLITS, Frames
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nextrung.schemas.dataset import CurationSettings, DatasetSettings, Source
    from nextrung.schemas.materials import Materials
    from nextrung.schemas.trajectory import Trajectory

__all__ = ["CuratedDataset", "curate", "source_digest", "store_dataset"]


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
    runs, rejections = _read_runs(settings.source, on_progress)
    wanted = _judge_runs(runs, settings, rejections)
    good = _judge_frames(wanted, settings.curation, rejections)
    if not len(good):
        raise InputError(_explain_nothing(settings.source, rejections))
    refuse_repeated_names(good)
    unique = find_unique_frames(good, settings.curation.duplicate_tolerances)
    duplicates = reject(good[~unique], Rule.DUPLICATE, "as a frame that is kept")
    frames = good[unique]
    frames = frames.with_splits(split_materials(frames, settings.split))
    return CuratedDataset(
        frames=frames,
        materials=collect_materials(wanted, frames),
        rejections=[*rejections, *duplicates],
        labels=name_labels(settings.source, frames.functional),
        n_frames_before_deduplication=len(good),
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


def _read_runs(
    source: Source, on_progress: Callable[[int, int, str], None]
) -> tuple[list[Trajectory], list[Rejection]]:
    """Read all runs of a source; those that cannot be read are rejections."""
    runs: list[Trajectory] = []
    rejections: list[Rejection] = []
    for run in read_source(source, on_progress):
        if isinstance(run, Rejection):
            rejections.append(run)
        else:
            refuse_heavy_elements(run.frames)
            runs.append(run)
    return runs, rejections


def _judge_runs(
    runs: Sequence[Trajectory], settings: DatasetSettings, rejections: list[Rejection]
) -> list[Trajectory]:
    """Keep the runs that are wanted; add the others to the rejections."""
    verdicts = [
        check_run(run, settings.curation) or check_primary_task(run, settings.curation)
        for run in runs
    ]
    kept = _drop_rejected(runs, verdicts, rejections)
    if isinstance(settings.source, DistilledSource):
        return kept
    verdicts = _check_energy_scales(kept, settings.curation)
    return _drop_rejected(kept, verdicts, rejections)


def _drop_rejected(
    runs: Sequence[Trajectory],
    verdicts: Sequence[Sequence[Rejection]],
    rejections: list[Rejection],
) -> list[Trajectory]:
    """Keep the runs that have no verdict; add the verdicts to the rejections."""
    rejections.extend(rejection for verdict in verdicts for rejection in verdict)
    return [run for run, verdict in zip(runs, verdicts, strict=True) if not verdict]


def _judge_frames(
    runs: Sequence[Trajectory], settings: CurationSettings, rejections: list[Rejection]
) -> Frames:
    """Keep the frames that are wanted; add the others to the rejections."""
    kept = []
    for run in runs:
        frames, broken = check_frames(run, settings)
        kept.append(frames)
        rejections.extend(broken)
    return Frames.concatenate(kept)


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


def _explain_nothing(source: Source, rejections: Sequence[Rejection]) -> str:
    """Say in one line what happened to all frames of a source."""
    counts = count_rejections(rejections)
    met = ", ".join(f"{rule} {count}" for rule, count in counts.items() if count)
    where = ", ".join(getattr(source, "paths", (source.kind,)))
    return f"expected usable frames, met none in {where} (rejected: {met or 'none'})"


def _store(shelf: str, write: Callable[[Path], None]) -> Artifact:
    """Write a Parquet file beside the artifacts and name it by its content."""
    folder = MachineSettings().artifacts
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as temporary:
        path = Path(temporary) / f"{shelf}.parquet"
        write(path)
        return store_artifact(path, shelf)
