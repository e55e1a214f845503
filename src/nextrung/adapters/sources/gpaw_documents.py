"""Reader of the documents of GPAW calculations."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from nextrung.adapters.files.json_stream import stream_documents
from nextrung.adapters.files.paths import expand_path
from nextrung.adapters.sources.ase import GPA_PER
from nextrung.adapters.sources.document_stores import list_documents, open_store
from nextrung.adapters.sources.frame_documents import FrameDocument, flatten_documents
from nextrung.adapters.stores.job_store import (
    STORE_FOLDER,
    close_store,
    open_embedded_store,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.gpaw import GpawCalculation
from nextrung.schemas.labels.identity import LabelIdentity
from nextrung.schemas.labels.sources import (
    GpawDocumentsSource,
    RelaxedFrame,
    StressUnit,
)
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from maggma.stores import Store

    from nextrung.adapters.sources.document_stores import StoredDocument
    from nextrung.schemas.frames import Frames

#: Query that finds the documents among those of other jobs.
QUERY: Final = {"output.ase_calculator_name": "GPAW"}

#: Name of the code in the identity of labels.
CODE: Final = "GPAW"


def read_gpaw_documents(
    source: GpawDocumentsSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Read the documents of a source; reject calculations that failed.

    Parameters
    ----------
    source : GpawDocumentsSource
        Run folders, files or store.
    on_progress : callable
        Receives the number of documents read, of all known, and a description.

    Raises
    ------
    InputError
        If a file or store cannot be read, or there is no document.

    Notes
    -----
    The runs of a material and functional are yielded together, that of the relaxed
    structure last.
    """
    groups: dict[tuple[str, str], list[Trajectory]] = defaultdict(list)
    rejected: list[Rejection] = []
    for number, document in enumerate(_read_documents(source)):
        on_progress(number, number + 1, f"document {number}")
        read = read_gpaw_document(document, f"document {number}")
        if isinstance(read, Rejection):
            rejected.append(read)
        else:
            groups[read.material_id, read.frames.functional].append(read)
    if not groups and not rejected:
        raise InputError("expected documents of GPAW in the source, got none")
    yield from rejected
    for runs in groups.values():
        yield from _find_relaxed(runs, source.relaxed_frame)


def list_gpaw_documents(source: GpawDocumentsSource) -> list[StoredDocument]:
    """List the documents in the store or the run folders of a source.

    Parameters
    ----------
    source : GpawDocumentsSource
        Run folders or store.
    """
    with _open_stores(source) as stores:
        return [listed for store in stores for listed in _list(store, source)]


def holds_gpaw_documents(folder: Path) -> bool:
    """Return whether a folder is a run folder with documents of GPAW.

    Parameters
    ----------
    folder : Path
        Any folder.
    """
    if not (folder / STORE_FOLDER).is_dir():
        return False
    return bool(list_gpaw_documents(GpawDocumentsSource(paths=(str(folder),))))


def list_json_files(source: GpawDocumentsSource) -> list[Path]:
    """List the JSON files of a source.

    Parameters
    ----------
    source : GpawDocumentsSource
        Its paths are files and run folders.
    """
    return [path for path in map(expand_path, source.paths) if path.is_file()]


@contextmanager
def _open_stores(source: GpawDocumentsSource) -> Iterator[list[Store]]:
    """Open the store, or the stores of the run folders."""
    with ExitStack() as opened:
        stores = []
        for folder in filter(
            lambda path: path.is_dir(), map(expand_path, source.paths)
        ):
            stores.append(open_embedded_store(folder))
            opened.callback(close_store, stores[-1])
        if source.store is not None:
            stores.append(opened.enter_context(open_store(source.store)))
        yield stores


def _list(store: Store, source: GpawDocumentsSource) -> list[StoredDocument]:
    """List the documents of a store, material by material."""
    query = {"$and": [QUERY, source.query]} if source.query else QUERY
    return list_documents(
        store,
        query,
        fields=["metadata"],
        find_group=lambda document: _find_ids(document, "")[1],
    )


def _read_documents(source: GpawDocumentsSource) -> Iterator[Mapping[str, Any]]:
    """Read the documents of all files and stores."""
    for path in list_json_files(source):
        yield from stream_documents(path, lambda document: document)
    with _open_stores(source) as stores:
        for store in stores:
            for listed in _list(store, source):
                document = store.query_one({"_id": listed.id})
                if document is None:
                    raise InputError(
                        f"expected the document of {listed.group}, got it deleted"
                    )
                yield document


def _find_ids(document: Mapping[str, Any], default: str) -> tuple[str, str]:
    """Find the names of frame and material in the metadata of a job."""
    metadata = document.get("metadata") or {}
    frame_id = str(metadata.get("frame_id") or document.get("uuid") or default)
    return frame_id, str(metadata.get("material_id") or frame_id)


def read_gpaw_document(
    document: Mapping[str, Any], default_id: str
) -> Trajectory | Rejection:
    """Read one document, or reject it.

    Parameters
    ----------
    document : mapping
        Document of a job, or its output.
    default_id : str
        Id of the frame where the document has none.
    """
    frame_id, material_id = _find_ids(document, default_id)
    rule, output = Rule.INCOMPLETE_FILE, document.get("output") or {}
    task = output if "ase_calculator_name" in output else document
    try:
        if task.get("error") is None:
            return _to_trajectory(task, frame_id, material_id)
        rule, reason = Rule.FAILED_LABELLING, str(task["error"])
    except InputError as error:
        reason = str(error)
    except (
        ValidationError,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
    ) as error:
        text = " ".join(str(error).split())
        reason = f"expected a document of GPAW, got {type(error).__name__}: {text}"
    return Rejection(
        frame_id=frame_id, material_id=material_id, rule=rule, reason=reason
    )


def _to_trajectory(
    task: Mapping[str, Any], frame_id: str, material_id: str
) -> Trajectory:
    """Read the ionic steps of a calculation; every cycle of GPAW converged."""
    calculation = GpawCalculation.model_validate(task["calculation"])
    steps = task["output"]["ionic_steps"]
    frames = flatten_documents(
        material_id,
        [
            FrameDocument(f"{frame_id}#{index}", step["mol_or_struct"], step)
            for index, step in enumerate(steps)
        ],
        functional=calculation.settings.functional,
        gpa_per_unit=GPA_PER[StressUnit.VASP_KBAR],
    )
    relaxed = bool(task.get("is_force_converged"))
    final = float(frames.energies[-1] / frames.n_atoms[-1])
    return Trajectory(
        frames=frames,
        converged=np.full(len(frames), fill_value=True),
        plane_wave_cutoff=calculation.settings.plane_wave_cutoff,
        relaxed_energy=final if relaxed else np.nan,
        identity=_identify(calculation, frames),
    )


def _identify(calculation: GpawCalculation, frames: Frames) -> LabelIdentity:
    """Describe how a structure was calculated."""
    settings = calculation.settings
    reciprocal = 2 * np.pi * np.linalg.inv(frames.lattices[0]).T
    lengths = np.linalg.norm(reciprocal, axis=1)
    data_sets = calculation.data_sets
    return LabelIdentity(
        code=CODE,
        version=calculation.version,
        functional=settings.functional,
        potentials={element: data.name for element, data in data_sets.items()},
        potential_hashes={key: f"md5:{data.md5}" for key, data in data_sets.items()},
        plane_wave_cutoff=settings.plane_wave_cutoff,
        k_spacing=round(float((lengths / np.array(calculation.k_points)).max()), 3),
        smearing=f"{settings.smearing} {settings.smearing_width:g}",
        energy="free_energy",
    )


def _find_relaxed(
    runs: Sequence[Trajectory], relaxed_frame: RelaxedFrame
) -> list[Trajectory]:
    """Add the relaxed energy to the runs of a material; its run goes last."""
    final = np.array([run.frames.energies[-1] / run.frames.n_atoms[-1] for run in runs])
    energies = np.array([run.relaxed_energy for run in runs])
    if relaxed_frame is RelaxedFrame.LOWEST_ENERGY:
        energies = final
    if not np.isfinite(energies).any():
        return list(runs)
    lowest = int(np.nanargmin(energies))
    ordered = [*runs[:lowest], *runs[lowest + 1 :], runs[lowest]]
    return [replace(run, relaxed_energy=float(energies[lowest])) for run in ordered]
