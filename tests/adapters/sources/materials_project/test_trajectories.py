from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from emmet.core.trajectory import RelaxTrajectory
from pymatgen.core import Lattice, Structure

from nextrung.adapters.sources.materials_project.trajectories import read_trajectories
from nextrung.adapters.sources.vasp.tasks import ReadTask, read_task
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.sources import TaskType

if TYPE_CHECKING:
    from pathlib import Path

SALT = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.25]])


def trajectory(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Two steps in one cell."""
    return {
        "elements": [55, 17],
        "cart_coords": [SALT.cart_coords.tolist()] * 2,
        "lattice": [SALT.lattice.matrix.tolist()],
        "e_fr_energy": [-6.5, -6.6],
        "forces": [[[0.1, 0, 0], [-0.1, 0, 0]]] * 2,
        "stress": [[[10.0, 0, 0], [0, 20.0, 0], [0, 0, 30.0]]] * 2,
        "electronic_steps": [[{}] * 60, [{}] * 7],
        "task_type": "Structure Optimization",
        "run_type": "r2SCAN",
        "identifier": "mp-9",
    } | changes


def read(*trajectories: dict[str, Any]) -> ReadTask | Rejection:
    document = {"task_id": "t", "trajectories": list(trajectories)}
    return read_trajectories(document, "t", "mp-1", task_types=tuple(TaskType))


def read_runs(*trajectories: dict[str, Any]) -> ReadTask:
    found = read(*trajectories)
    assert isinstance(found, ReadTask), found
    return found


def test_a_trajectory_is_converted_to_the_units_of_the_package() -> None:
    """20 kBar of VASP are -2 GPa."""
    (run,) = read_runs(trajectory()).runs

    frames = run.frames
    assert frames.frame_ids.tolist() == ["t-0#0", "t-0#1"]
    assert (run.material_id, frames.functional) == ("mp-1", "r2SCAN")
    assert frames.energies.tolist() == [-6.5, -6.6]
    np.testing.assert_allclose(np.diag(frames.stresses[0]), [-1, -2, -3], rtol=1e-6)
    assert frames.to_structures()[1] == SALT
    assert run.converged.tolist() == [False, True]
    assert run.relaxed_energy == pytest.approx(-3.3)


def test_the_last_trajectory_is_calculation_0() -> None:
    task = read_runs(trajectory(), trajectory(e_fr_energy=[-6.6, -6.7]))

    assert [run.frames.frame_ids[0] for run in task.runs] == ["t-1#0", "t-0#0"]
    assert task.task.final_energy == pytest.approx(-3.35)


def test_steps_without_coordinates_are_skipped() -> None:
    (run,) = read_runs(trajectory(cart_coords=[None, SALT.cart_coords.tolist()])).runs

    assert run.frames.frame_ids.tolist() == ["t-0#1"]
    assert run.frames.energies.tolist() == [-6.6]


def test_a_hubbard_u_of_unknown_value_is_infinite() -> None:
    (run,) = read_runs(trajectory(run_type="GGA+U")).runs

    assert run.hubbard_u > 0
    assert run.frames.functional == "PBE"


@pytest.mark.parametrize(
    ("changes", "rule", "reason"),
    [
        ({"task_type": "NSCF Line"}, Rule.TASK_TYPE, "got NSCF Line"),
        ({"cart_coords": [None, None]}, Rule.INCOMPLETE_FILE, "IndexError"),
        ({"elements": [55]}, Rule.INCOMPLETE_FILE, "ValueError"),
        ({"elements": [55, 999]}, Rule.INCOMPLETE_FILE, "got ValueError"),
        ({"forces": [[[1.0]], []]}, Rule.INCOMPLETE_FILE, "t-0#0: expected forces as"),
        ({"lattice": None}, Rule.INCOMPLETE_FILE, "got TypeError"),
        ({"lattice": [[[0.0] * 3] * 3]}, Rule.INCOMPLETE_FILE, "Singular matrix"),
        ({"run_type": None}, Rule.FUNCTIONAL, ""),
    ],
)
def test_another_layout_is_rejected(
    changes: dict[str, Any], rule: Rule, reason: str
) -> None:
    found = read(trajectory(**changes))

    if rule is Rule.FUNCTIONAL:
        assert isinstance(found, ReadTask)
        assert found.runs[0].frames.functional == "None"
    else:
        assert isinstance(found, Rejection)
        assert (found.rule, found.frame_id) == (rule, "t")
        assert reason in found.reason


def test_a_task_without_trajectories_is_rejected() -> None:
    found = read()

    assert isinstance(found, Rejection)
    assert found.reason == "expected trajectories, got none"


def make_trajectory(calculation: dict[str, Any]) -> dict[str, Any]:
    """Convert a calculation to a trajectory with emmet."""
    steps = calculation["output"]["ionic_steps"]
    keys = ("e_fr_energy", "forces", "stress", "electronic_steps")
    made = RelaxTrajectory._from_dict(
        {key: [step[key] for step in steps] for key in keys}
        | {"structure": [Structure.from_dict(step["structure"]) for step in steps]},
        task_type="Structure Optimization",
        run_type="GGA",
    )
    return json.loads(made.model_dump_json())  # type: ignore[no-any-return]


def test_real_trajectories_equal_their_tasks(real_data: Path) -> None:
    """Second implementation: emmet, for relaxations of As2SO6."""
    path = real_data / "mp-task-documents" / "test_As2SO6_tasks.json.gz"
    with gzip.open(path) as file:
        tasks = [t for t in json.load(file) if len(t["calcs_reversed"]) > 1]
    assert tasks
    for task in tasks[:1]:
        whole = read_task(task, "t", "mp-1", task_types=tuple(TaskType))
        made = [make_trajectory(calc) for calc in reversed(task["calcs_reversed"])]
        short = read_runs(*made)

        assert isinstance(whole, ReadTask)
        assert short.task == whole.task
        for there, here in zip(short.runs, whole.runs, strict=True):
            assert there.frames.frame_ids.tolist() == here.frames.frame_ids.tolist()
            np.testing.assert_array_equal(there.frames.energies, here.frames.energies)
            np.testing.assert_allclose(there.frames.forces, here.frames.forces)
            np.testing.assert_allclose(there.frames.stresses, here.frames.stresses)
            np.testing.assert_array_equal(there.converged, here.converged)
            np.testing.assert_allclose(
                there.frames.frac_coords, here.frames.frac_coords, atol=1e-12
            )
