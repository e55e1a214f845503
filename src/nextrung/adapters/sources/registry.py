"""Registry of label sources: reader, name and hash by kind."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nextrung.adapters.files.artifacts import hash_file
from nextrung.adapters.files.paths import expand_files, expand_path
from nextrung.adapters.sources.ase import read_ase
from nextrung.adapters.sources.distilled import distil
from nextrung.adapters.sources.document_stores import digest_documents, open_store
from nextrung.adapters.sources.gpaw_documents import (
    list_gpaw_documents,
    list_json_files,
    read_gpaw_documents,
)
from nextrung.adapters.sources.label_files import (
    find_label_files,
    name_calculation,
    read_label_files,
)
from nextrung.adapters.sources.materials_project.reader import (
    digest_project,
    read_materials_project,
)
from nextrung.adapters.sources.matpes import read_matpes
from nextrung.adapters.sources.mptrj import read_mptrj
from nextrung.adapters.sources.task_documents import list_tasks, read_task_documents
from nextrung.adapters.sources.vasp.discovery import (
    count_outputs,
    find_runs,
    read_vasp,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.identity import FileCounts
from nextrung.schemas.labels.sources import (
    AseSource,
    DistilledSource,
    GpawDocumentsSource,
    LabelFilesSource,
    MaterialsProjectSource,
    MatpesSource,
    MptrjJsonSource,
    TaskDocumentsSource,
    VaspSource,
)
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nextrung.schemas.labels.curation import Rejection, Rule
    from nextrung.schemas.labels.sources import Source

#: Reader of each kind of source.
READERS: Mapping[str, Callable[[Any, Any], Iterator[Trajectory | Rejection]]] = {
    "vasp": read_vasp,
    "ase": read_ase,
    "mptrj_json": read_mptrj,
    "matpes": read_matpes,
    "task_documents": read_task_documents,
    "gpaw_documents": read_gpaw_documents,
    "label_files": read_label_files,
    "materials_project": read_materials_project,
    "distilled": distil,
}

#: Name of the labels of each kind of source, for headings.
LABELS = {
    "vasp": "{functional} (VASP)",
    "ase": "{functional} (ASE files)",
    "mptrj_json": "{functional} ({source.energy} energies of MPtrj's layout)",
    "matpes": "{functional} (MatPES)",
    "task_documents": "{functional} (VASP task documents)",
    "gpaw_documents": "{functional} (GPAW)",
    "label_files": "{functional} ({calculation})",
    "materials_project": "{functional} (Materials Project)",
    "distilled": "distilled from {source.teacher}",
}


def read_source(
    source: Source, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Read the frames of a source, run by run; reject runs that cannot be read.

    Parameters
    ----------
    source : Source
        Where frames come from.
    on_progress : callable
        Receives the number of steps done, of all steps, and a description.
    """
    return READERS[source.kind](source, on_progress)


class ReadLabels(NamedTuple):
    """All frames of a source.

    Attributes
    ----------
    frames : Frames
        All frames.
    n_rejected : dict of Rule to int
        Files or documents that gave none, by rule.
    codes : frozenset of str
        Programs that calculated the labels; empty where the source does not say.
    """

    frames: Frames
    n_rejected: dict[Rule, int]
    codes: frozenset[str]


def read_labels(source: Source) -> ReadLabels:
    """Read all frames of a source, uncurated; count files that cannot be read.

    Parameters
    ----------
    source : Source
        Where frames come from.

    Raises
    ------
    InputError
        If no frame can be read, or their functionals differ.
    """
    parts: list[Frames] = []
    codes: set[str] = set()
    n_rejected: Counter[Rule] = Counter()
    for found in read_source(source, lambda _done, _total, _text: None):
        if isinstance(found, Trajectory):
            parts.append(found.frames)
            codes |= {found.identity.code} if found.identity else set()
        else:
            n_rejected[found.rule] += 1
    if not parts:
        raise InputError(
            f"expected frames in the {source.kind} source, got none "
            f"({n_rejected.total()} files or documents rejected)"
        )
    return ReadLabels(
        Frames.concatenate(parts), dict(n_rejected), frozenset(codes - {""})
    )


def count_files(source: Source, n_read: int, n_unreadable: int) -> FileCounts | None:
    """Count the files of a source.

    Parameters
    ----------
    source : Source
        Where frames come from.
    n_read : int
        Files that were read as a run.
    n_unreadable : int
        Runs of which no file can be read.

    Returns
    -------
    FileCounts or None
        Every file once; None for a source that is not of folders of runs.
    """
    if not isinstance(source, VaspSource):
        return None
    n_files, n_outputs = count_outputs(source)
    return FileCounts(
        n_files=n_files,
        n_read=n_read,
        n_unreadable=n_unreadable,
        n_second=n_outputs - n_read - n_unreadable,
        n_other=n_files - n_outputs,
    )


def name_labels(source: Source, functional: str) -> str:
    """Name the labels of a source for headings, such as ``r2SCAN (VASP)``.

    Parameters
    ----------
    source : Source
        Where frames come from.
    functional : str
        Functional of the labels.
    """
    calculation = (
        name_calculation(source) if isinstance(source, LabelFilesSource) else ""
    )
    return LABELS[source.kind].format(
        functional=functional, source=source, calculation=calculation
    )


def source_digest(source: Source) -> str:
    """Hash the content of a source, so that changed data are detected.

    Parameters
    ----------
    source : Source
        Where frames come from.

    Returns
    -------
    str
        Hash of names and contents of files, of names and dates of documents in a
        store, or of the settings and the teacher of generated crystals.

    Raises
    ------
    InputError
        If a file or folder does not exist.
    """
    if isinstance(source, TaskDocumentsSource) and source.store:
        with open_store(source.store) as store:
            return digest_documents(list_tasks(store, source))
    if isinstance(source, MaterialsProjectSource):
        return digest_project(source)
    digest = hashlib.sha256()
    if isinstance(source, DistilledSource):
        digest.update(source.model_dump_json().encode())
    if isinstance(source, GpawDocumentsSource):
        digest.update(digest_documents(list_gpaw_documents(source)).encode())
    for name, path in sorted(list_source_files(source).items()):
        digest.update(f"{name}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()


def list_source_files(source: Source) -> dict[str, Path]:  # noqa: PLR0911 - one case per kind
    """List the files of a source by name, without opening them.

    Parameters
    ----------
    source : Source
        Where frames come from.

    Returns
    -------
    dict of str to Path
        Data files, the file that describes a store, or the file of a teacher.

    Raises
    ------
    InputError
        If a file or folder does not exist.
    """
    match source:
        case VaspSource():
            return {
                f"{run.run_id}{f' {path.name}' if number else ''}": path
                for run in find_runs(source)
                for number, path in enumerate(run.paths)
            }
        case AseSource():
            files = expand_files(source.paths, "a file that ASE reads")
            return {path.name: path for path in files}
        case (
            TaskDocumentsSource(store=str(store_file))
            | GpawDocumentsSource(store=str(store_file))
        ):
            return {"store": expand_path(store_file)}
        case GpawDocumentsSource():
            return {path.name: path for path in list_json_files(source)}
        case LabelFilesSource():
            return {path.name: path for path in find_label_files(source)}
        case MptrjJsonSource() | MatpesSource() | TaskDocumentsSource():
            files = expand_files(source.paths, "a JSON file")
            return {path.name: path for path in files}
        case MaterialsProjectSource():
            return {}
        case DistilledSource():
            teacher = Path(source.teacher)
            return {"teacher": teacher} if teacher.is_file() else {}
