"""Reader of trajectory documents of the Materials Project, one array per property."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Element

from nextrung.adapters.sources.frame_documents import (
    WRONG,
    FrameDocument,
    flatten_documents,
)
from nextrung.adapters.sources.vasp.run import GPA_PER_KBAR
from nextrung.adapters.sources.vasp.tasks import (
    DEFAULT_NELM,
    ReadTask,
    enum_value,
    name_run_type,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.trajectory import Task, Trajectory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.schemas.labels.sources import TaskType

#: Hubbard U in eV of a run with a U of unknown value.
UNKNOWN_U = math.inf


def read_trajectories(
    document: Mapping[str, Any],
    task_id: str,
    material_id: str,
    *,
    task_types: Sequence[TaskType],
) -> ReadTask | Rejection:
    """Read the trajectories of a task in the order in which they ran, or reject it.

    Parameters
    ----------
    document : mapping
        Key ``trajectories``: emmet's ``RelaxTrajectory`` documents.
    task_id : str
        Id of the task.
    material_id : str
        Id of its material.
    task_types : sequence of TaskType
        Accepted kinds of calculation.

    Notes
    -----
    The documents lack NELM, so VASP's default is assumed.
    """
    rule, reason = Rule.INCOMPLETE_FILE, "expected trajectories, got none"
    try:
        listed = document["trajectories"]
        kinds = {str(enum_value(trajectory["task_type"])) for trajectory in listed}
        if kinds - set(task_types):
            rule = Rule.TASK_TYPE
            wanted = " or ".join(task_types)
            reason = f"expected {wanted}, got {', '.join(sorted(kinds))}"
        elif listed:
            runs = [
                _read(trajectory, f"{task_id}-{len(listed) - 1 - number}", material_id)
                for number, trajectory in enumerate(listed)
            ]
            return ReadTask(task_id, material_id, runs, _summarise(runs[-1]))
    except WRONG as error:
        reason = f"{error}" if isinstance(error, InputError) else f"got {error!r}"
    return Rejection(
        frame_id=task_id, material_id=material_id, rule=rule, reason=reason
    )


def _summarise(run: Trajectory) -> Task:
    """Collect the values that are compared with the primary task."""
    final = run.frames
    return Task(
        final_energy=float(final.energies[-1] / final.n_atoms[-1]),
        functional=final.functional,
        hubbard_us={"unknown": run.hubbard_u} if run.hubbard_u else {},
    )


def _read(trajectory: Mapping[str, Any], name: str, material_id: str) -> Trajectory:
    """Read the frames of a trajectory that have coordinates."""
    coords = trajectory["cart_coords"]
    kept = [index for index, sites in enumerate(coords) if sites is not None]
    run_type = str(enum_value(trajectory["run_type"]))
    frames = flatten_documents(
        material_id,
        [_make_frame(trajectory, index, f"{name}#{index}") for index in kept],
        functional=name_run_type(run_type),
        gpa_per_unit=GPA_PER_KBAR,
    )
    steps = trajectory.get("electronic_steps") or [()] * len(coords)
    converged = np.array([len(steps[index]) < DEFAULT_NELM for index in kept])
    final = float(frames.energies[-1] / frames.n_atoms[-1])
    return Trajectory(
        frames=frames,
        converged=converged,
        hubbard_u=UNKNOWN_U if run_type.endswith(("+U", "_U")) else 0.0,
        relaxed_energy=final if converged[-1] else math.nan,
    )


def _make_frame(trajectory: Mapping[str, Any], index: int, name: str) -> FrameDocument:
    """Build the document of one frame from the arrays of all frames."""
    lattices = trajectory["lattice"]
    matrix = np.array(lattices[index if len(lattices) > 1 else 0], np.float64)
    cartesian = np.array(trajectory["cart_coords"][index], np.float64)
    sites = [
        {"species": [{"element": Element.from_Z(z).symbol, "occu": 1}], "abc": abc}
        for z, abc in zip(
            trajectory["elements"],
            np.linalg.solve(matrix.T, cartesian.T).T.tolist(),
            strict=True,
        )
    ]
    labels = {
        label: trajectory[key][index] if trajectory.get(key) else None
        for label, key in (
            ("energy", "e_fr_energy"),
            ("forces", "forces"),
            ("stress", "stress"),
            ("magmoms", "magmoms"),
        )
    }
    structure = {"lattice": {"matrix": matrix.tolist()}, "sites": sites}
    return FrameDocument(name, structure, labels)
