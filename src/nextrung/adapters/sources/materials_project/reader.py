"""Reader of calculations of the Materials Project."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

from nextrung.adapters.sources.materials_project.client import PagedApi
from nextrung.adapters.sources.materials_project.trajectories import read_trajectories
from nextrung.adapters.sources.vasp.tasks import (
    ReadTask,
    compare_tasks,
    name_run_type,
    read_task,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.sources import ProjectDocuments
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nextrung.schemas.labels.sources import MaterialsProjectSource
    from nextrung.schemas.labels.trajectory import Trajectory

#: Names per query, materials per batch, and tasks per page.
N_NAMES, N_MATERIALS, N_TASKS = 100, 25, 10

#: Name of the hull with the energies of a functional.
THERMO_TYPES = {"r2SCAN": "R2SCAN", "PBE": "GGA_GGA+U"}

#: Path and fields of each kind of document.
DOCUMENTS = {
    ProjectDocuments.TASKS: (
        "materials/tasks/",
        "task_id,task_type,run_type,calcs_reversed",
    ),
    ProjectDocuments.TRAJECTORIES: (
        "materials/tasks/trajectory/",
        "task_id,trajectories",
    ),
}


def read_materials_project(
    source: MaterialsProjectSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Read the calculations of materials; pages fetched before are read from disk.

    Parameters
    ----------
    source : MaterialsProjectSource
        Materials and kinds of calculation.
    on_progress : callable
        Receives the number of materials read, of all materials, and a description.

    Raises
    ------
    InputError
        If there is no key, the server does not respond, or no material is found.

    Notes
    -----
    The primary task of a material is that of its thermodynamic document, or else the
    task of lowest energy; the energy of the relaxed structure is uncorrected.
    """
    api = _open(source)
    tasks = _list_tasks(api, source)
    names = sorted(tasks)
    for start in range(0, len(names), N_MATERIALS):
        on_progress(start, len(names), f"material {start} of {source.endpoint}")
        batch = {name: tasks[name] for name in names[start : start + N_MATERIALS]}
        yield from _read_materials(api, batch, source)


def digest_project(source: MaterialsProjectSource) -> str:
    """Hash the settings of a source and the version of the database.

    Parameters
    ----------
    source : MaterialsProjectSource
        Materials and kinds of calculation.
    """
    version = _open(source).cache.name
    return hashlib.sha256(f"{version} {source.model_dump_json()}".encode()).hexdigest()


def _open(source: MaterialsProjectSource) -> PagedApi:
    """Open the API with one cache folder per version of the database."""
    downloads = MachineSettings().downloads
    version = PagedApi(source.endpoint, downloads).fetch_version()
    return PagedApi(source.endpoint, downloads / version.replace("/", "_"))


def _list_tasks(api: PagedApi, source: MaterialsProjectSource) -> dict[str, list[str]]:
    """List the ids of the selected tasks by material."""
    if source.material_ids:
        key, names = "material_ids", sorted(source.material_ids)
    else:
        key, names = "chemsys", sorted(set(_list_systems(source.chemical_systems)))
    tasks = {}
    for start in range(0, len(names), N_NAMES):
        for material in api.fetch_documents(
            "materials/core/",
            _fields="material_id,calc_types,deprecated_tasks",
            deprecated="false",
            **{key: ",".join(names[start : start + N_NAMES])},
        ):
            tasks[str(material.get("material_id"))] = _choose_tasks(material, source)
    if not tasks:
        raise InputError(
            f"expected materials, got none of {', '.join(names)} at {source.endpoint}"
        )
    return tasks


def _list_systems(systems: Sequence[str]) -> Iterator[str]:
    """List chemical systems and their subsystems, elements in alphabetical order."""
    for system in systems:
        symbols = sorted(system.split("-"))
        for size in range(1, len(symbols) + 1):
            yield from ("-".join(chosen) for chosen in combinations(symbols, size))


def _choose_tasks(
    material: Mapping[str, Any], source: MaterialsProjectSource
) -> list[str]:
    """Select the tasks of the functional and of the kinds of calculation."""
    deprecated = set(material.get("deprecated_tasks") or ())
    chosen = []
    for task_id, calc_type in (material.get("calc_types") or {}).items():
        for kind in source.task_types:
            run_type = str(calc_type).removesuffix(f" {kind}")
            matches = name_run_type(run_type) == source.functional
            if matches and run_type != calc_type and task_id not in deprecated:
                chosen.append(task_id)
    return sorted(chosen)


def _read_materials(
    api: PagedApi, tasks: Mapping[str, Sequence[str]], source: MaterialsProjectSource
) -> Iterator[Trajectory | Rejection]:
    """Read the tasks of some materials, sorted by name."""
    energies, primaries = _fetch_energies(api, list(tasks), source.functional)
    documents = _fetch_tasks(api, list(chain(*tasks.values())), source)
    read: list[ReadTask] = []
    for material_id, listed in tasks.items():
        for task_id in listed:
            found = _read(documents.get(task_id), task_id, material_id, source=source)
            if isinstance(found, Rejection):
                yield found
            else:
                read.append(found)
    known = {task.task_id for task in read}
    primaries = {name: task for name, task in primaries.items() if task in known}

    def may_be_primary(task: ReadTask, other: ReadTask) -> bool:
        primary = primaries.get(task.material_id)
        if primary is not None:
            return other.task_id == primary
        return other.task.functional == task.task.functional

    for run in compare_tasks(read, may_be_primary):
        relaxed = energies.get(run.material_id, run.relaxed_energy)
        yield replace(run, relaxed_energy=relaxed)


def _read(
    document: Mapping[str, Any] | None,
    task_id: str,
    material_id: str,
    *,
    source: MaterialsProjectSource,
) -> ReadTask | Rejection:
    """Read a task of either layout; reject one that the server lacks."""
    if document is None:
        return Rejection(
            frame_id=task_id,
            material_id=material_id,
            rule=Rule.INCOMPLETE_FILE,
            reason=f"expected a document, got none at {source.endpoint}",
        )
    tasks = source.documents is ProjectDocuments.TASKS
    read = read_task if tasks else read_trajectories
    return read(document, task_id, material_id, task_types=source.task_types)


def _fetch_energies(
    api: PagedApi, names: Sequence[str], functional: str
) -> tuple[dict[str, float], dict[str, str]]:
    """Fetch the energies of relaxed structures in eV/atom, and their task ids."""
    energies: dict[str, float] = {}
    primaries: dict[str, str] = {}
    if functional not in THERMO_TYPES:
        return energies, primaries
    for document in api.fetch_documents(
        "materials/thermo/",
        _fields="material_id,uncorrected_energy_per_atom,entries",
        thermo_types=THERMO_TYPES[functional],
        material_ids=",".join(names),
    ):
        name, energy = (
            document.get(key) for key in ("material_id", "uncorrected_energy_per_atom")
        )
        if isinstance(energy, float):
            energies[str(name)] = energy
        for run_type, entry in (document.get("entries") or {}).items():
            if name_run_type(run_type) == functional:
                primaries[str(name)] = str((entry.get("data") or {}).get("task_id"))
    return energies, primaries


def _fetch_tasks(
    api: PagedApi, task_ids: Sequence[str], source: MaterialsProjectSource
) -> dict[str, dict[str, Any]]:
    """Fetch the documents of tasks, by task id."""
    path, fields = DOCUMENTS[source.documents]
    documents = {}
    for start in range(0, len(task_ids), N_TASKS):
        for document in api.fetch_documents(
            path,
            _fields=fields,
            task_ids=",".join(task_ids[start : start + N_TASKS]),
        ):
            documents[str(document.get("task_id"))] = document
    return documents
