"""VASP task documents of emmet and its forerunners."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.adapters.document_stores import (
    StoredDocument,
    list_documents,
    open_store,
    stream_groups,
)
from nextrung.adapters.frame_documents import FrameDocument, lay_out
from nextrung.adapters.json_files import find_json_files, stream_documents
from nextrung.adapters.vasp_runs import GPA_PER_KBAR, name_functional
from nextrung.schemas.base import InputError
from nextrung.schemas.curation import Rejection, Rule
from nextrung.schemas.sources import PrimaryTask, TaskType
from nextrung.schemas.trajectory import Task, Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from maggma.stores import Store

    from nextrung.schemas.sources import TaskDocumentsSource

#: VASP's own limit of the electronic steps.
DEFAULT_NELM = 60

#: ``ICHARG`` from which the density is fixed, and ``IBRION`` of linear responses.
FIXED_DENSITY, FIRST_RESPONSE = 10, 5

#: What a task has, as such or as the output of a job; a small part of that.
CALCULATIONS = ("calcs_reversed", "output.calcs_reversed")
MARKS = (*(f"{key}.dir_name" for key in CALCULATIONS), "output.task_id")

#: What ``has_vasp_completed`` says of calculations that have not.
INCOMPLETE = {False, "failed", "unsuccessful", "error"}


@dataclass(frozen=True)
class _Read:
    """A task as a document tells it."""

    task_id: str
    material_id: str
    runs: Sequence[Trajectory]
    task: Task


def read_task_documents(
    source: TaskDocumentsSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Read the task documents of a source, material by material.

    Parameters
    ----------
    source : TaskDocumentsSource
        Files, and how tasks belong together.
    on_progress : callable
        Told the number of files read, of all files, and what is read.

    Yields
    ------
    Trajectory or Rejection
        Frames of one calculation of a task, or why a task cannot be used.

    Raises
    ------
    InputError
        If a file cannot be read.

    Notes
    -----
    The energy is ``e_fr_energy``; ``e_0_energy`` is 0 in many documents, and a
    difference in others. A calculation's functional is told by its INCAR, which
    documents have right more often than their ``run_type``. The moments of the last
    step are those of the OUTCAR; other steps have none.
    """
    if source.store is None:
        yield from _read_files(source, on_progress)
    else:
        yield from _read_store(source, source.store, on_progress)


def _read_files(
    source: TaskDocumentsSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Read documents in any order; materials come after the last of them."""
    tasks: list[_Read] = []
    files = find_json_files(source.paths)
    for index, path in enumerate(files):
        for count, document in enumerate(stream_documents(path)):
            on_progress(index, len(files), f"{path.name}: document {count}")
            found = _read_task(_unwrap(document), f"{path.name}#{count}", source)
            if isinstance(found, Rejection):
                yield found
            else:
                tasks.append(found)
    yield from _compare_all(tasks, source.primary_task)


def _read_store(
    source: TaskDocumentsSource,
    store_file: str,
    on_progress: Callable[[int, int, str], None],
) -> Iterator[Trajectory | Rejection]:
    """Read the documents of one material after another."""
    with open_store(store_file) as store:
        documents = list_tasks(store, source)
        n_read = 0
        for group in stream_groups(store, documents):
            on_progress(n_read, len(documents), f"document {n_read} of {store_file}")
            found = [_read_task(_unwrap(task), "", source) for task in group]
            n_read += len(group)
            yield from (one for one in found if isinstance(one, Rejection))
            tasks = [one for one in found if isinstance(one, _Read)]
            yield from _compare_all(tasks, source.primary_task)


def list_tasks(store: Store, source: TaskDocumentsSource) -> list[StoredDocument]:
    """List the task documents of a store, material by material.

    Parameters
    ----------
    store : Store
        A connected store; that of jobs has tasks among other documents.
    source : TaskDocumentsSource
        Which of them, and how they belong together.

    Returns
    -------
    list of StoredDocument
        The tasks.

    Raises
    ------
    InputError
        If there is none.
    """
    tasks = [{key: {"$exists": True}} for key in CALCULATIONS]
    documents = list_documents(
        store,
        {"$and": [{"$or": tasks}, source.query]},
        fields=[*MARKS, source.material_id_key, f"output.{source.material_id_key}"],
        find_group=lambda document: _name(_unwrap(document), "", source)[1],
    )
    if not documents:
        raise InputError(
            f"expected task documents, met none in the store of {source.store} with "
            f"the query {source.query}"
        )
    return documents


def _unwrap(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find the task in the document that a job has stored it in."""
    output = document.get("output")
    if isinstance(output, dict) and "calcs_reversed" in output:
        known = {key: document.get(key) for key in ("metadata", "uuid")}
        return known | output
    return document


def _read_task(
    document: Mapping[str, Any], name: str, source: TaskDocumentsSource
) -> _Read | Rejection:
    """Read one task; say why where that is impossible."""
    task_id, material_id = _name(document, name, source)
    rule, reason = Rule.INCOMPLETE_FILE, ""
    kind = _name_task_type(document)
    if kind not in source.task_types:
        rule = Rule.TASK_TYPE
        reason = f"expected {' or '.join(source.task_types)}, met {kind}"
    else:
        try:
            return _to_task(document, task_id, material_id)
        except InputError as error:
            reason = str(error)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            reason = f"expected a task document, met {type(error).__name__}: {error}"
    return Rejection(
        frame_id=task_id, material_id=material_id, rule=rule, reason=reason
    )


def _name(
    document: Mapping[str, Any], name: str, source: TaskDocumentsSource
) -> tuple[str, str]:
    """Name a task and its material; by another name where it has none."""
    task_id = str(document.get("task_id") or document.get("uuid") or name)
    return task_id, str(_look_up(document, source.material_id_key) or task_id)


def _look_up(document: Mapping[str, Any], dotted: str) -> Any:  # noqa: ANN401
    """Follow a dotted key; None where it leads nowhere."""
    value: Any = document
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _name_task_type(document: Mapping[str, Any]) -> str:
    """Name the kind of calculation, by the document or else by its tags."""
    said = document.get("task_type")
    said = said.get("value") if isinstance(said, dict) else said
    if said:
        known = [kind for kind in TaskType if str(said).endswith(kind)]
        return known[0] if known else str(said)
    tags = _read_tags((document.get("calcs_reversed") or [{}])[0])
    if int(tags.get("ICHARG") or 0) >= FIXED_DENSITY:
        return "NSCF"
    if int(tags.get("IBRION") or -1) >= FIRST_RESPONSE:
        return "linear response"
    relaxes = int(tags.get("NSW") or 0) > 0
    return TaskType.STRUCTURE_OPTIMIZATION if relaxes else TaskType.STATIC


def _read_tags(calculation: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the tags of a calculation; the INCAR overrules VASP's summary."""
    given = calculation.get("input") or {}
    return {**(given.get("parameters") or {}), **(given.get("incar") or {})}


def _to_task(document: Mapping[str, Any], task_id: str, material_id: str) -> _Read:
    """Read the calculations of a task, the first one first."""
    calculations = document["calcs_reversed"]
    if not calculations:
        raise InputError("expected calculations, met none")
    runs = [
        _read_calculation(calculations[number], f"{task_id}-{number}", material_id)
        for number in reversed(range(len(calculations)))
    ]
    final = runs[-1].frames
    task = Task(
        final_energy=float(final.energies[-1] / final.n_atoms[-1]),
        functional=final.functional,
        hubbard_us=_read_hubbard_us(calculations[0]),
    )
    return _Read(task_id, material_id, runs, task)


def _read_calculation(
    calculation: Mapping[str, Any], name: str, material_id: str
) -> Trajectory:
    """Read the ionic steps of one calculation."""
    if calculation.get("has_vasp_completed", True) in INCOMPLETE:
        raise InputError(f"calculation {name} was not completed")
    tags = _read_tags(calculation)
    steps = calculation["output"]["ionic_steps"]
    if not steps:
        raise InputError(f"calculation {name} has no ionic steps")
    labels = [{**step, "energy": step["e_fr_energy"]} for step in steps]
    labels[-1]["magmoms"] = _find_magmoms(calculation["output"], steps[-1])
    frames = lay_out(
        material_id,
        [
            FrameDocument(f"{name}#{index}", step["structure"], known)
            for index, (step, known) in enumerate(zip(steps, labels, strict=True))
        ],
        functional=_name_functional(tags, calculation),
        gpa_per_unit=GPA_PER_KBAR,
    )
    done = np.array([_count_electronic_steps(step) for step in steps])
    converged = done < int(tags.get("NELM", DEFAULT_NELM))
    final = float(frames.energies[-1] / frames.n_atoms[-1])
    return Trajectory(
        frames=frames,
        converged=converged,
        hubbard_u=max(_read_hubbard_us(calculation).values(), default=0.0),
        plane_wave_cutoff=float(tags.get("ENCUT", tags.get("ENMAX", math.nan))),
        relaxed_energy=final if converged[-1] else math.nan,
    )


def _name_functional(tags: Mapping[str, Any], calculation: Mapping[str, Any]) -> str:
    """Name the functional by the tags, or by the run type where there are none."""
    if tags:
        return name_functional(tags)
    said = calculation.get("run_type")
    said = said.get("value") if isinstance(said, dict) else said
    name = re.sub(r"[+_]U$", "", str(said))
    return {"GGA": "PBE", "R2SCAN": "r2SCAN"}.get(name, name)


def _read_hubbard_us(calculation: Mapping[str, Any]) -> dict[str, float]:
    """Read the Hubbard U above zero by element."""
    given = calculation.get("input") or {}
    tags = _read_tags(calculation)
    us = given.get("hubbards") or {}
    if not us and tags.get("LDAU"):
        values = tags.get("LDAUU") or []
        us = values if isinstance(values, dict) else dict(enumerate(values))
    return {str(element): float(u) for element, u in us.items() if u}


def _count_electronic_steps(step: Mapping[str, Any]) -> int:
    """Count the electronic steps of an ionic one; 0 where nothing is said of them."""
    counted = step.get("electronic_steps") or ()
    return len(counted) or int(step.get("num_electronic_steps") or 0)


def _find_magmoms(
    output: Mapping[str, Any], last: Mapping[str, Any]
) -> list[float] | None:
    """Find the moments of the sites after the last step; None where there are none."""
    outcar = output.get("outcar") or {}
    moments = [site["tot"] for site in outcar.get("magnetization") or ()]
    collinear = all(isinstance(moment, int | float) for moment in moments)
    fits = collinear and len(moments) == len(last["structure"]["sites"])
    return moments if fits else None


def _compare_all(tasks: Iterable[_Read], choice: PrimaryTask) -> Iterator[Trajectory]:
    """Hand on the runs of all materials, in the order of their first tasks."""
    materials: dict[str, list[_Read]] = defaultdict(list)
    for task in tasks:
        materials[task.material_id].append(task)
    for listed in materials.values():
        yield from _compare(listed, choice)


def _compare(tasks: Sequence[_Read], choice: PrimaryTask) -> Iterator[Trajectory]:
    """Hand on the runs of a material with the primary task of their functional."""
    for read in tasks:
        candidates = [
            other.task
            for other in tasks
            if math.isfinite(other.task.final_energy)
            and (
                other.task_id == other.material_id
                if choice is PrimaryTask.NAMESAKE
                else other.task.functional == read.task.functional
            )
        ]
        primary = min(candidates, key=lambda task: task.final_energy, default=None)
        for run in read.runs:
            yield replace(
                run,
                relaxed_energy=math.nan if primary is None else primary.final_energy,
                task=read.task,
                primary_task=primary,
            )
