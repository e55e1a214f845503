"""Reader of one VASP task document of emmet or its predecessors."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.adapters.sources.frame_documents import FrameDocument, flatten_documents
from nextrung.adapters.sources.vasp.functional import name_functional
from nextrung.adapters.sources.vasp.identity import identify_labels, name_element
from nextrung.adapters.sources.vasp.run import GPA_PER_KBAR, make_trajectory
from nextrung.adapters.sources.vasp.states import FIXED_DENSITY, find_states
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.sources import TaskType, VaspEnergy
from nextrung.schemas.labels.trajectory import Task, Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.identity import LabelIdentity

#: VASP's default of NELM.
DEFAULT_NELM = 60

#: Smallest ``ICHARG`` of a fixed density, and ``IBRION`` of linear response.
FIRST_RESPONSE = 5

#: Values of ``has_vasp_completed`` for incomplete calculations.
INCOMPLETE = {False, "failed", "unsuccessful", "error"}


@dataclass(frozen=True)
class ReadTask:
    """Calculations of a task document.

    Parameters
    ----------
    task_id : str
        Id of the task.
    material_id : str
        Id of its material.
    runs : sequence of Trajectory
        Its calculations, in the order in which they ran.
    task : Task
        Values that are compared with the primary task.
    """

    task_id: str
    material_id: str
    runs: Sequence[Trajectory]
    task: Task


def read_task(
    document: Mapping[str, Any],
    task_id: str,
    material_id: str,
    *,
    task_types: Sequence[TaskType],
) -> ReadTask | Rejection:
    """Read one task, or reject it.

    Parameters
    ----------
    document : mapping
        The task document.
    task_id : str
        Id of the task.
    material_id : str
        Id of its material.
    task_types : sequence of TaskType
        Accepted kinds of calculation.

    Notes
    -----
    The energy is ``e_fr_energy``; ``e_0_energy`` is 0 in many documents and a
    difference in others. The functional follows from the INCAR, which is more often
    right than ``run_type``. Magnetic moments are those of the OUTCAR for the last step;
    other steps have none.
    """
    rule, kind = Rule.INCOMPLETE_FILE, _name_task_type(document)
    if kind not in task_types:
        rule = Rule.TASK_TYPE
        reason = f"expected {' or '.join(task_types)}, got {kind}"
    else:
        try:
            return _to_task(document, task_id, material_id)
        except InputError as error:
            reason = str(error)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            reason = f"expected a task document, got {type(error).__name__}: {error}"
    return Rejection(
        frame_id=task_id, material_id=material_id, rule=rule, reason=reason
    )


def name_run_type(run_type: str) -> str:
    """Name the functional of a run type of emmet, without the Hubbard U.

    Parameters
    ----------
    run_type : str
        Such as ``GGA+U`` or ``r2SCAN``.
    """
    name = re.sub(r"[+_]U$", "", run_type)
    return {"GGA": "PBE", "R2SCAN": "r2SCAN"}.get(name, name)


def enum_value(stored: Any) -> Any:  # noqa: ANN401
    """Return the value of a stored enum of emmet, or the stored value itself.

    Parameters
    ----------
    stored : object
        Value of a document.
    """
    return stored.get("value") if isinstance(stored, dict) else stored


def compare_tasks(
    tasks: Iterable[ReadTask], choose: Callable[[ReadTask, ReadTask], bool]
) -> Iterator[Trajectory]:
    """Add the primary task to every run, material by material.

    Parameters
    ----------
    tasks : iterable of ReadTask
        Tasks of any materials.
    choose : callable
        Whether the second task of a material may be the primary task of the first; the
        lowest in energy of these is chosen.
    """
    materials: dict[str, list[ReadTask]] = defaultdict(list)
    for task in tasks:
        materials[task.material_id].append(task)
    for listed in materials.values():
        for read in listed:
            candidates = [
                other.task
                for other in listed
                if math.isfinite(other.task.final_energy) and choose(read, other)
            ]
            primary = min(candidates, key=lambda task: task.final_energy, default=None)
            relaxed = math.nan if primary is None else primary.final_energy
            for run in read.runs:
                yield replace(
                    run, relaxed_energy=relaxed, task=read.task, primary_task=primary
                )


def _name_task_type(document: Mapping[str, Any]) -> str:
    """Return the kind of calculation in the document, or deduce it from the tags."""
    if name := enum_value(document.get("task_type")):
        known = [kind for kind in TaskType if str(name).endswith(kind)]
        return known[0] if known else str(name)
    tags = _read_tags((document.get("calcs_reversed") or [{}])[0])
    if int(tags.get("ICHARG") or 0) >= FIXED_DENSITY:
        return "NSCF"
    if int(tags.get("IBRION") or -1) >= FIRST_RESPONSE:
        return "linear response"
    relaxes = int(tags.get("NSW") or 0) > 0
    return TaskType.STRUCTURE_OPTIMIZATION if relaxes else TaskType.STATIC


def _read_tags(calculation: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the tags of a calculation; the INCAR wins over VASP's summary."""
    given = calculation.get("input") or {}
    return {**(given.get("parameters") or {}), **(given.get("incar") or {})}


def _to_task(document: Mapping[str, Any], task_id: str, material_id: str) -> ReadTask:
    """Read the calculations of a task in the order in which they ran."""
    calculations = document["calcs_reversed"]
    if not calculations:
        raise InputError("expected calculations, got none")
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
    return ReadTask(task_id, material_id, runs, task)


def _read_calculation(
    calculation: Mapping[str, Any], name: str, material_id: str
) -> Trajectory:
    """Read the ionic steps of one calculation."""
    if calculation.get("has_vasp_completed", True) in INCOMPLETE:
        raise InputError(f"calculation {name} is incomplete")
    tags = _read_tags(calculation)
    steps = calculation["output"]["ionic_steps"]
    if not steps:
        raise InputError(f"calculation {name} has no ionic steps")
    labels = [{**step, "energy": step["e_fr_energy"]} for step in steps]
    labels[-1]["magmoms"] = _find_magmoms(calculation["output"], steps[-1])
    frames = flatten_documents(
        material_id,
        [
            FrameDocument(f"{name}#{index}", step["structure"], known)
            for index, (step, known) in enumerate(zip(steps, labels, strict=True))
        ],
        functional=_name_functional(tags, calculation),
        gpa_per_unit=GPA_PER_KBAR,
    )
    n_done = np.array([_count_electronic_steps(step) for step in steps])
    return make_trajectory(
        frames,
        n_done < int(tags.get("NELM", DEFAULT_NELM)),
        hubbard_us=_read_hubbard_us(calculation),
        plane_wave_cutoff=float(tags.get("ENCUT", tags.get("ENMAX", math.nan))),
        states=find_states(tags),
        identity=_identify(calculation, tags, frames),
    )


def _identify(
    calculation: Mapping[str, Any], tags: Mapping[str, Any], frames: Frames
) -> LabelIdentity:
    """Describe how a calculation was done."""
    given = calculation.get("input") or {}
    files = {name_element(f["titel"]): f for f in given.get("potcar_spec") or ()}
    mesh = ((given.get("kpoints") or {}).get("kpoints") or [()])[0]
    hashes = {element: file.get("hash") for element, file in files.items()}
    return identify_labels(
        frames.functional,
        tags,
        energy=VaspEnergy.FREE_ENERGY,
        plane_wave_cutoff=float(tags.get("ENCUT", tags.get("ENMAX", math.nan))),
        version=str(calculation.get("vasp_version") or ""),
        potentials={element: file["titel"] for element, file in files.items()},
        hashes={element: f"md5:{text}" for element, text in hashes.items() if text},
        hubbard_us=_read_hubbard_us(calculation),
        k_points=[int(count) for count in mesh],
        lattice=frames.lattices[0],
    )


def _name_functional(tags: Mapping[str, Any], calculation: Mapping[str, Any]) -> str:
    """Name the functional from the tags, or from the run type without tags."""
    if tags:
        return name_functional(tags)
    return name_run_type(str(enum_value(calculation.get("run_type"))))


def _read_hubbard_us(calculation: Mapping[str, Any]) -> dict[str, float]:
    """Read the nonzero Hubbard U by element."""
    given = calculation.get("input") or {}
    tags = _read_tags(calculation)
    us = given.get("hubbards") or {}
    if not us and tags.get("LDAU"):
        values = tags.get("LDAUU") or []
        us = values if isinstance(values, dict) else dict(enumerate(values))
    return {str(element): float(u) for element, u in us.items() if u}


def _count_electronic_steps(step: Mapping[str, Any]) -> int:
    """Count the electronic steps of an ionic step; 0 where they are not stored."""
    counted = step.get("electronic_steps") or ()
    return len(counted) or int(step.get("num_electronic_steps") or 0)


def _find_magmoms(
    output: Mapping[str, Any], last: Mapping[str, Any]
) -> list[float] | None:
    """Read the collinear moments of the last step; None where they are missing."""
    outcar = output.get("outcar") or {}
    moments = [site["tot"] for site in outcar.get("magnetization") or ()]
    collinear = all(isinstance(moment, int | float) for moment in moments)
    fits = collinear and len(moments) == len(last["structure"]["sites"])
    return moments if fits else None
