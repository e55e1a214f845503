from __future__ import annotations

from typing import Any

import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.sources.vasp.tasks import (
    ReadTask,
    compare_tasks,
    name_run_type,
    read_task,
)
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.sources import TaskType

SALT = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3])


def read(task_id: str, energy: float, **changes: Any) -> ReadTask | Rejection:  # noqa: ANN401
    step = {"e_fr_energy": energy, "structure": SALT.as_dict()}
    calculation = {"run_type": "r2SCAN", "output": {"ionic_steps": [step]}}
    document = {"task_type": "Static", "calcs_reversed": [calculation]} | changes
    return read_task(document, task_id, "mp-1", task_types=(TaskType.STATIC,))


def read_good(task_id: str, energy: float) -> ReadTask:
    found = read(task_id, energy)
    assert isinstance(found, ReadTask)
    return found


def test_a_task_has_the_values_that_are_compared() -> None:
    task = read_good("t", -6.5)

    assert (task.task_id, task.material_id) == ("t", "mp-1")
    assert (task.task.final_energy, task.task.functional) == (-3.25, "r2SCAN")


@pytest.mark.parametrize(
    ("changes", "rule", "reason"),
    [
        ({"task_type": "NSCF Line"}, Rule.TASK_TYPE, "expected Static, got NSCF Line"),
        ({"calcs_reversed": []}, Rule.INCOMPLETE_FILE, "expected calculations, got no"),
        ({"calcs_reversed": [{}]}, Rule.INCOMPLETE_FILE, "got KeyError: 'output'"),
        ({"calcs_reversed": 3}, Rule.INCOMPLETE_FILE, "got TypeError"),
    ],
)
def test_a_task_of_another_kind_or_layout_is_rejected(
    changes: dict[str, Any], rule: Rule, reason: str
) -> None:
    found = read("t", -6.5, **changes)

    assert isinstance(found, Rejection)
    assert (found.frame_id, found.material_id, found.rule) == ("t", "mp-1", rule)
    assert reason in found.reason


def test_the_lowest_candidate_is_the_primary_task() -> None:
    tasks = [read_good("a", -6.0), read_good("b", -7.0), read_good("c", -6.5)]

    runs = list(compare_tasks(tasks, lambda _, other: other.task_id != "b"))

    assert [run.primary_task.final_energy for run in runs if run.primary_task] == [
        -3.25,
        -3.25,
        -3.25,
    ]
    assert {run.relaxed_energy for run in runs} == {-3.25}


def test_without_candidates_there_is_no_primary_task() -> None:
    (run,) = compare_tasks([read_good("a", -6.0)], lambda _task, _other: False)

    assert run.primary_task is None
    assert run.relaxed_energy != run.relaxed_energy


@pytest.mark.parametrize(
    ("run_type", "functional"),
    [("GGA", "PBE"), ("GGA+U", "PBE"), ("R2SCAN", "r2SCAN"), ("r2SCAN_U", "r2SCAN")],
)
def test_run_types_name_functionals(run_type: str, functional: str) -> None:
    assert name_run_type(run_type) == functional
