"""Reader of VASP task documents of emmet and its predecessors."""

from __future__ import annotations

from functools import partial
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

from nextrung.adapters.files.json_stream import stream_documents
from nextrung.adapters.files.paths import expand_files
from nextrung.adapters.sources.document_stores import (
    StoredDocument,
    list_documents,
    open_store,
    stream_groups,
)
from nextrung.adapters.sources.vasp.tasks import ReadTask, compare_tasks, read_task
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection
from nextrung.schemas.labels.sources import PrimaryTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from maggma.stores import Store

    from nextrung.schemas.labels.sources import TaskDocumentsSource
    from nextrung.schemas.labels.trajectory import Trajectory

#: Keys of the calculations, in a task and in the output of a job.
CALCULATIONS = ("calcs_reversed", "output.calcs_reversed")
#: Small fields by which a task is recognised.
TASK_FIELDS = (*(f"{key}.dir_name" for key in CALCULATIONS), "output.task_id")


def read_task_documents(
    source: TaskDocumentsSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Read the task documents of a source by material; reject invalid tasks.

    Parameters
    ----------
    source : TaskDocumentsSource
        Files or store, and the key of the material.
    on_progress : callable
        Receives the number of files read, of all files, and a description.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    if source.store is None:
        yield from _read_files(source, on_progress)
    else:
        yield from _read_store(source, source.store, on_progress)


def list_tasks(store: Store, source: TaskDocumentsSource) -> list[StoredDocument]:
    """List the task documents of a store, material by material.

    Parameters
    ----------
    store : Store
        A connected store; a job store also holds other documents.
    source : TaskDocumentsSource
        Query, and the key of the material.

    Raises
    ------
    InputError
        If there are none.
    """
    tasks = [{key: {"$exists": True}} for key in CALCULATIONS]
    documents = list_documents(
        store,
        {"$and": [{"$or": tasks}, source.query]},
        fields=[
            *TASK_FIELDS,
            source.material_id_key,
            f"output.{source.material_id_key}",
        ],
        find_group=lambda document: _find_ids(_unwrap(document), "", source)[1],
    )
    if not documents:
        raise InputError(
            f"expected task documents, got none in the store of {source.store} with "
            f"the query {source.query}"
        )
    return documents


def _read_files(
    source: TaskDocumentsSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Read documents in any order; yield the materials after the last document."""
    tasks: list[ReadTask] = []
    files = expand_files(source.paths, "a JSON file")
    for index, path in enumerate(files):
        ids = (f"{path.name}#{number}" for number in count())
        read = partial(_read, default_ids=ids, source=source)
        for number, found in enumerate(stream_documents(path, read)):
            on_progress(index, len(files), f"{path.name}: document {number}")
            if isinstance(found, Rejection):
                yield found
            else:
                tasks.append(found)
    yield from _compare(tasks, source)


def _read_store(
    source: TaskDocumentsSource,
    store_file: str,
    on_progress: Callable[[int, int, str], None],
) -> Iterator[Trajectory | Rejection]:
    """Read the documents of a store, one material at a time."""
    with open_store(store_file) as store:
        documents = list_tasks(store, source)
        n_read = 0
        for group in stream_groups(store, documents):
            on_progress(n_read, len(documents), f"document {n_read} of {store_file}")
            read = partial(_read, default_ids=repeat(""), source=source)
            found = list(map(read, group))
            n_read += len(group)
            yield from (one for one in found if isinstance(one, Rejection))
            tasks = [one for one in found if isinstance(one, ReadTask)]
            yield from _compare(tasks, source)


def _read(
    document: Mapping[str, Any],
    *,
    default_ids: Iterator[str],
    source: TaskDocumentsSource,
) -> ReadTask | Rejection:
    """Read a document; a default id replaces a missing one."""
    task = _unwrap(document)
    ids = _find_ids(task, next(default_ids), source)
    return read_task(task, *ids, task_types=source.task_types)


def _compare(
    tasks: Iterable[ReadTask], source: TaskDocumentsSource
) -> Iterator[Trajectory]:
    """Add the primary task of its material to every run."""
    if source.primary_task is PrimaryTask.NAMESAKE:
        return compare_tasks(tasks, lambda _, other: other.task_id == other.material_id)
    return compare_tasks(
        tasks, lambda task, other: task.task.functional == other.task.functional
    )


def _unwrap(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find the task in the document of a job that stored it."""
    output = document.get("output")
    if isinstance(output, dict) and "calcs_reversed" in output:
        known = {key: document.get(key) for key in ("metadata", "uuid")}
        return known | output
    return document


def _find_ids(
    document: Mapping[str, Any], default_id: str, source: TaskDocumentsSource
) -> tuple[str, str]:
    """Find the ids of a task and of its material."""
    task_id = str(document.get("task_id") or document.get("uuid") or default_id)
    return task_id, str(_look_up(document, source.material_id_key) or task_id)


def _look_up(document: Mapping[str, Any], dotted: str) -> Any:  # noqa: ANN401
    """Look up a dotted key; None where it is missing."""
    value: Any = document
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
