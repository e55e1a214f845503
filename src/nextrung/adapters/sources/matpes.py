"""Reader of MatPES: one flat document per structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from monty.io import zopen

from nextrung.adapters.files.json_stream import stream_documents, stream_materials
from nextrung.adapters.files.paths import expand_files
from nextrung.adapters.sources.ase import GPA_PER
from nextrung.adapters.sources.frame_documents import FrameDocument, flatten_documents
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nextrung.schemas.labels.sources import MatpesSource

#: Keys that every document must have.
REQUIRED_KEYS = ("matpes_id", "structure", "energy", "functional")

#: Documents between two reports of progress.
REPORT_EVERY = 1000


def read_matpes(
    source: MatpesSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory]:
    """Read the documents of a source as runs of one frame, by original material.

    Parameters
    ----------
    source : MatpesSource
        Files.
    on_progress : callable
        Receives the number of files read, of all files, and a description.

    Raises
    ------
    InputError
        If a file cannot be read, a document lacks a key, or a value has another type
        or shape than its property.

    Notes
    -----
    Magnetic moments are VASP's, from the sites of the structure, not Bader's.
    """
    files = expand_files(source.paths, "a JSON file")
    for index, path in enumerate(files):
        for count, run in enumerate(_stream(path, source)):
            if count % REPORT_EVERY == 0:
                on_progress(index, len(files), f"{path.name}: document {count}")
            yield run


def _stream(path: Path, source: MatpesSource) -> Iterator[Trajectory]:
    """Read the documents of a list, or of an object by name."""
    try:
        with zopen(path, "rb") as file:
            listed = file.read(1024).lstrip()[:1] == b"["
    except (OSError, EOFError):
        listed = True  # stream_documents describes the error
    if listed:
        return stream_documents(path, lambda document: _read(document, source))
    return stream_materials(path, lambda _, document: _read(document, source))


def _read(document: Mapping[str, Any], source: MatpesSource) -> Trajectory:
    """Convert a document to a run of one frame."""
    name = document.get("matpes_id", "without a name")
    for key in REQUIRED_KEYS:
        if key not in document:
            raise InputError(f"frame {name}: expected the key {key!r}, got none")
    origin = (document.get("provenance") or {}).get("original_mp_id")
    labels = {**document, "magmoms": _find_magmoms(document)}
    frames = flatten_documents(
        origin or name,
        [FrameDocument(name, document["structure"], labels)],
        functional=document["functional"],
        gpa_per_unit=GPA_PER[source.stress_unit],
    )
    return Trajectory(frames=frames, converged=np.array([True]))


def _find_magmoms(document: Mapping[str, Any]) -> list[float] | None:
    """Read the moments of the sites; None where one of them has none."""
    try:
        return [s["properties"]["magmom"] for s in document["structure"]["sites"]]
    except (KeyError, TypeError):
        return None
