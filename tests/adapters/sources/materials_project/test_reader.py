from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.adapters.sources.materials_project.project_server import (
    KEY,
    ProjectServer,
    serve,
)

from nextrung.adapters.sources.materials_project import reader
from nextrung.adapters.sources.materials_project.reader import (
    digest_project,
    read_materials_project,
)
from nextrung.adapters.sources.task_documents import read_task_documents
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.sources import (
    MaterialsProjectSource,
    ProjectDocuments,
    TaskDocumentsSource,
    TaskType,
)
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A relaxation of As2SO6 and its static calculation.
TASKS_FILE = "mp-task-documents/test_As2SO6_tasks.json.gz"


@pytest.fixture(scope="module")
def tasks(real_data: Path) -> list[dict[str, Any]]:
    """The real tasks with fewest steps of each kind, as the server sends them."""
    with gzip.open(real_data / TASKS_FILE) as file:
        listed = json.load(file)
    kinds = tuple(f"GGA {kind}" for kind in TaskType)
    labelled = [task for task in listed if name_calculation(task) in kinds]
    return sorted(labelled, key=lambda task: len(json.dumps(task)))[:4]


@pytest.fixture
def server(
    tasks: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ProjectServer]:
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path / "root"))
    kinds = {t["task_id"]: name_calculation(t) for t in tasks}
    material: dict[str, Any] = {
        "material_id": "mp-1",
        "chemsys": "As-O-S",
        "calc_types": kinds | {"mp-8": "r2SCAN Static", "mp-7": "GGA NSCF Line"},
        "deprecated_tasks": [],
    }
    thermo: dict[str, Any] = {
        "material_id": "mp-1",
        "thermo_type": "GGA_GGA+U",
        "uncorrected_energy_per_atom": -6.25,
        "entries": {"GGA": {"data": {"task_id": tasks[0]["task_id"]}}},
    }
    collections = {
        "/materials/core/": [material],
        "/materials/thermo/": [thermo],
        "/materials/tasks/": tasks,
    }
    with serve(ProjectServer(collections)) as server:
        yield server


def name_calculation(task: dict[str, Any]) -> str:
    kind = task["task_type"]
    kind = kind["value"] if isinstance(kind, dict) else kind
    return f"GGA {kind}"


def make_source(server: ProjectServer, **changes: Any) -> MaterialsProjectSource:  # noqa: ANN401
    settings = {"functional": "PBE", "chemical_systems": ["As-S-O"]} | changes
    return MaterialsProjectSource.model_validate(
        settings | {"endpoint": server.endpoint}
    )


def read(source: MaterialsProjectSource) -> list[Trajectory | Rejection]:
    return list(read_materials_project(source, lambda _done, _total, _text: None))


def read_runs(source: MaterialsProjectSource) -> list[Trajectory]:
    found = read(source)
    runs = [run for run in found if isinstance(run, Trajectory)]
    assert len(runs) == len(found), found
    return runs


def test_tasks_equal_those_of_the_documents_on_disk(
    server: ProjectServer, tasks: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Frames are the same; the energy of the relaxed structure is the server's."""
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(sorted(tasks, key=lambda t: str(t["task_id"]))))
    on_disk = read_task_documents(
        TaskDocumentsSource(paths=(str(path),)), lambda _done, _total, _text: None
    )
    expected = [run for run in on_disk if isinstance(run, Trajectory)]

    runs = read_runs(make_source(server))

    assert len(runs) == len(expected) > 1
    for run, there in zip(runs, expected, strict=True):
        assert run.frames.frame_ids.tolist() == there.frames.frame_ids.tolist()
        np.testing.assert_array_equal(run.frames.energies, there.frames.energies)
        np.testing.assert_array_equal(run.frames.forces, there.frames.forces)
        assert (run.material_id, run.relaxed_energy) == ("mp-1", -6.25)


def test_the_primary_task_is_that_of_the_thermodynamic_document(
    server: ProjectServer, tasks: list[dict[str, Any]]
) -> None:
    runs = read_runs(make_source(server))

    (named,) = {
        run.task.final_energy
        for run in runs
        if run.task and run.frames.frame_ids[0].startswith(str(tasks[0]["task_id"]))
    }
    assert {run.primary_task.final_energy for run in runs if run.primary_task} == {
        named
    }


def test_without_a_thermodynamic_document_the_lowest_task_is_primary(
    server: ProjectServer,
) -> None:
    server.collections["/materials/thermo/"] = []

    runs = read_runs(make_source(server))

    lowest = min(run.task.final_energy for run in runs if run.task)
    assert {run.relaxed_energy for run in runs} == {lowest}


def test_a_functional_without_a_hull_has_no_primary_task_in_it(
    server: ProjectServer,
) -> None:
    server.collections["/materials/core/"][0]["calc_types"] = {"mp-8": "HSE06 Static"}

    (found,) = read(make_source(server, functional="HSE06"))

    assert isinstance(found, Rejection)
    assert not any("thermo" in path for path in server.requests)


def test_a_task_that_the_server_lacks_is_rejected(server: ProjectServer) -> None:
    found = read(make_source(server, functional="r2SCAN"))

    assert [(r.frame_id, r.rule) for r in found if isinstance(r, Rejection)] == [
        ("mp-8", Rule.INCOMPLETE_FILE)
    ]


def test_deprecated_tasks_and_other_kinds_are_not_fetched(
    server: ProjectServer, tasks: list[dict[str, Any]]
) -> None:
    material = server.collections["/materials/core/"][0]
    material["deprecated_tasks"] = [tasks[0]["task_id"]]

    runs = read_runs(make_source(server))

    names = {run.frames.frame_ids[0].rpartition("-")[0] for run in runs}
    assert tasks[0]["task_id"] not in names
    (asked,) = (
        path for path in server.requests if path.startswith("/materials/tasks/")
    )
    assert "mp-7" not in asked


def test_only_selected_kinds_are_read(
    server: ProjectServer, tasks: list[dict[str, Any]]
) -> None:
    source = make_source(server, task_types=[TaskType.STATIC])
    statics = [task for task in tasks if name_calculation(task) == "GGA Static"]

    found = read(source) if statics else []

    assert len(found) == len(statics)


def test_a_chemical_system_includes_its_subsystems(server: ProjectServer) -> None:
    read(make_source(server))

    (asked,) = (path for path in server.requests if "/core/" in path)
    assert "chemsys=As%2CAs-O%2CAs-O-S%2CAs-S%2CO%2CO-S%2CS" in asked


def test_materials_can_be_selected_by_id(server: ProjectServer) -> None:
    by_name = make_source(server, chemical_systems=[], material_ids=["mp-1"])

    assert len(read(by_name)) == len(read(make_source(server)))


def test_an_unknown_material_is_a_one_line_error(server: ProjectServer) -> None:
    with pytest.raises(InputError, match="expected materials, got none of Po at http"):
        read(make_source(server, chemical_systems=["Po"]))


def test_fetched_pages_are_read_from_disk(server: ProjectServer) -> None:
    """Only the version of the database is fetched again."""
    first = read_runs(make_source(server))
    n_asked = len(server.requests)

    again = read_runs(make_source(server))

    assert server.requests[n_asked:] == ["/heartbeat"]
    assert [run.frames.frame_ids[0] for run in again] == [
        run.frames.frame_ids[0] for run in first
    ]


def test_another_version_of_the_database_is_fetched_again(
    server: ProjectServer,
) -> None:
    source = make_source(server)
    before = digest_project(source)
    read(source)
    n_asked = len(server.requests)
    server.version = "2025_10_01"

    read(source)

    assert len(server.requests) > n_asked + 1
    assert digest_project(source) != before


def test_many_tasks_are_fetched_in_parts(
    server: ProjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_runs(make_source(server))
    server.version = "next"
    monkeypatch.setattr(reader, "N_TASKS", 1)

    parts = read_runs(make_source(server))

    assert [run.frames.frame_ids[0] for run in parts] == [
        run.frames.frame_ids[0] for run in whole
    ]


def test_trajectories_are_fetched_where_the_study_selects_them(
    server: ProjectServer,
) -> None:
    server.collections["/materials/core/"][0]["calc_types"] = {"t": "GGA Static"}
    server.collections["/materials/tasks/trajectory/"] = [
        {
            "task_id": "t",
            "trajectories": [
                {
                    "elements": [84],
                    "cart_coords": [[[0.0, 0, 0]]],
                    "lattice": [[[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]]],
                    "e_fr_energy": [-3.0],
                    "run_type": "GGA",
                    "task_type": "Static",
                }
            ],
        }
    ]

    (run,) = read_runs(make_source(server, documents=ProjectDocuments.TRAJECTORIES))

    assert run.frames.frame_ids.tolist() == ["t-0#0"]
    assert run.frames.energies.tolist() == [-3]


def test_progress_is_reported(server: ProjectServer) -> None:
    told: list[tuple[int, int, str]] = []

    list(
        read_materials_project(
            make_source(server), lambda *progress: told.append(progress)
        )
    )

    assert told == [(0, 1, f"material 0 of {server.endpoint}")]
