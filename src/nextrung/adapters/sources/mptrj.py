"""Reader of MPtrj and its layout: frames by id, by material, in one JSON object."""

from __future__ import annotations

import math
import re
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.adapters.files.json_stream import stream_materials
from nextrung.adapters.files.paths import expand_files
from nextrung.adapters.sources.ase import GPA_PER
from nextrung.adapters.sources.frame_documents import FrameDocument, flatten_documents
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.sources import EnergyLabel, LastFrame
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.sources import MptrjJsonSource

#: Key of the total energy in eV.
ENERGY_KEYS = {
    EnergyLabel.UNCORRECTED: "uncorrected_total_energy",
    EnergyLabel.CORRECTED: "corrected_total_energy",
}

#: Key of the corrected energy of the relaxed structure in eV/atom; only in MPtrj.
RELAXED_KEY = "e_per_atom_relaxed"

#: Task, calculation and ionic step of a frame.
FRAME_NAME = re.compile(r"(.+)-(\d+)-(\d+)")

#: Materials between two reports of progress.
REPORT_EVERY = 500


def read_mptrj(
    source: MptrjJsonSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory]:
    """Read the tasks of the materials of a source, each as one run.

    Parameters
    ----------
    source : MptrjJsonSource
        Files, and which of their energies is the label.
    on_progress : callable
        Receives the number of files read, of all files, and a description.

    Raises
    ------
    InputError
        If a file cannot be read, a frame lacks the chosen energy, or a value has
        another type or shape than its property.

    Notes
    -----
    A frame is named ``task-calculation-step``. Calculation 0 is the last of a task,
    as in ``calcs_reversed``; frames are sorted by step, not by their order in the file.
    """
    files = expand_files(source.paths, "a JSON file")
    read = partial(_read_material, source=source)
    for index, path in enumerate(files):
        for count, runs in enumerate(stream_materials(path, read)):
            if count % REPORT_EVERY == 0:
                on_progress(index, len(files), f"{path.name}: material {count}")
            yield from runs


def _read_material(
    material_id: str, frames: Mapping[str, Any], *, source: MptrjJsonSource
) -> list[Trajectory]:
    """Read the tasks of one material in the order of the file."""
    parts = {name: _split_name(name) for name in frames}
    order = {task: index for index, (task, _, _) in enumerate(parts.values())}
    names = sorted(frames, key=lambda name: (order[parts[name][0]], parts[name]))
    runs = []
    for _, group in groupby(names, key=lambda name: parts[name][0]):
        chosen = list(group)
        laid_out = flatten_documents(
            material_id,
            [_to_document(name, frames[name], source) for name in chosen],
            functional=source.functional,
            gpa_per_unit=GPA_PER[source.stress_unit],
        )
        runs.append(_to_trajectory(laid_out, frames[chosen[-1]], source))
    return runs


def _split_name(name: str) -> tuple[str, int, int]:
    """Split a name into its task, and two numbers that increase with time."""
    match = FRAME_NAME.fullmatch(name)
    return (match[1], -int(match[2]), int(match[3])) if match else ("", 0, 0)


def _to_document(name: str, frame: Any, source: MptrjJsonSource) -> FrameDocument:  # noqa: ANN401
    """Select the structure and the labels of a frame."""
    if not isinstance(frame, dict):
        raise InputError(f"frame {name}: expected an object, got {str(frame)[:40]!r}")
    key = ENERGY_KEYS[source.energy]
    for needed in ("structure", key):
        if needed not in frame:
            raise InputError(f"frame {name}: expected the key {needed!r}, got none")
    labels = {
        "energy": frame[key],
        "forces": frame.get("force"),
        "stress": frame.get("stress"),
        "magmoms": frame.get("magmom"),
    }
    return FrameDocument(name, frame["structure"], labels)


def _to_trajectory(
    frames: Frames, last: Mapping[str, Any], source: MptrjJsonSource
) -> Trajectory:
    """Convert the frames of one task, given the document of the last."""
    relaxed = _relaxed_energy(last, source, int(frames.n_atoms[-1]))
    if math.isnan(relaxed) and source.last_frame is LastFrame.RELAXED:
        relaxed = float(frames.energies[-1] / frames.n_atoms[-1])
    return Trajectory(
        frames=frames,
        converged=np.full(len(frames), fill_value=True),
        relaxed_energy=relaxed,
    )


def _relaxed_energy(
    frame: Mapping[str, Any], source: MptrjJsonSource, n_atoms: int
) -> float:
    """Read the energy of the relaxed structure in eV/atom, corrected as the label is.

    The correction depends on the composition only, so any frame of the task gives it.
    """
    relaxed = _read_number(frame, RELAXED_KEY)
    if source.energy is EnergyLabel.CORRECTED:
        return relaxed
    corrected, raw = (
        _read_number(frame, ENERGY_KEYS[label]) for label in reversed(EnergyLabel)
    )
    return relaxed - (corrected - raw) / n_atoms


def _read_number(frame: Mapping[str, Any], key: str) -> float:
    """Read a number; NaN where it is missing."""
    value = frame.get(key)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"expected a number as {key}, got {str(value)[:40]!r}")
    return float(value)
