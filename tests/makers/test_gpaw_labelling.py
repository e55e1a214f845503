from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.units import GPa
from emmet.core.types.enums import TaskState
from fireworks import Firework
from jobflow import JobStore, run_locally
from jobflow.managers.fireworks import job_to_firework
from tests.gpaw_calculations import LABELS, make_silicon

from nextrung.adapters.files.structures import store_structure
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.makers.gpaw_labelling import GpawLabellingMaker, GpawTaskDoc
from nextrung.makers.routing import describe_route, kind_of, route_flow
from nextrung.schemas.cluster.machine import JobRoute, JobRoutes, Machine
from nextrung.schemas.labels.gpaw import GpawRelaxation, GpawSettings

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.base import Artifact


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path / "run"))
    return make_embedded_store(tmp_path / "run")


@pytest.fixture
def files(store: JobStore) -> dict[str, Artifact]:  # noqa: ARG001 - its run folder
    """Silicon, and iron, which the script cannot calculate."""
    iron = make_silicon()
    iron.replace_species({"Si": "Fe"})
    return {"a#1": store_structure(make_silicon()), "b": store_structure(iron)}


@pytest.mark.usefixtures("gpaw_script")
@pytest.mark.filterwarnings("ignore")
def test_every_structure_is_a_task_document_of_atomate2_also_a_failure(
    files: dict[str, Artifact], store: JobStore, tmp_path: Path
) -> None:
    maker = GpawLabellingMaker(settings=GpawSettings(functional="r2SCAN"))
    flow = maker.make(files, {"a#1": "a"})
    folder = tmp_path / "calculations"
    folder.mkdir()

    run_locally(flow, store=store, create_folders=True, root_dir=folder, log=False)

    rows = {each["metadata"]["frame_id"]: each for each in store.query({})}
    assert rows["a#1"]["metadata"]["material_id"] == "a"
    assert rows["b"]["metadata"]["material_id"] == "b"
    document = GpawTaskDoc.model_validate(rows["a#1"]["output"])
    assert document.settings == maker.settings
    assert document.ase_calculator_name == "GPAW"
    assert document.output is not None
    assert document.output.energy == LABELS["energy"]
    assert document.output.forces == [tuple(row) for row in LABELS["forces"]]
    kbar = np.array(document.output.stress)  # compression is positive, as of VASP
    assert kbar[0, 0] == pytest.approx(-10 * LABELS["stress"][0] / GPa)
    assert document.calculation is not None
    assert document.calculation.data_sets["Si"].name == "Si.PBE"
    assert document.state is TaskState.SUCCESS
    assert document.error is None
    failure = GpawTaskDoc.model_validate(rows["b"]["output"])
    assert failure.state is TaskState.FAILED
    assert failure.error == "GPAW crashed with exit code 1: out of memory"
    assert failure.formula_pretty == "Fe"


def test_a_job_is_named_by_its_structure_and_settings(
    files: dict[str, Artifact],
) -> None:
    uuids = {
        functional: GpawLabellingMaker(settings=GpawSettings(functional=functional))
        .make(files)
        .job_uuids
        for functional in ("PBE", "r2SCAN", "GGA_X_PBE+GGA_C_PBE")
    }
    relaxed = GpawSettings(relaxation=GpawRelaxation())

    assert uuids["PBE"] == uuids["GGA_X_PBE+GGA_C_PBE"]
    assert set(uuids["PBE"]).isdisjoint(uuids["r2SCAN"])
    assert set(GpawLabellingMaker(settings=relaxed).make(files).job_uuids).isdisjoint(
        uuids["PBE"]
    )


def test_fireworks_carries_the_settings_and_no_structure(
    files: dict[str, Artifact], store: JobStore
) -> None:
    settings = GpawSettings(relaxation=GpawRelaxation(fmax=0.01))
    flow = GpawLabellingMaker(settings=settings).make(files)

    firework = job_to_firework(flow.jobs[0], store)

    spec = json.dumps(Firework.from_dict(firework.to_dict()).to_dict())
    assert "lattice" not in spec.lower()
    carried = Firework.from_dict(json.loads(spec)).tasks[0]["job"]
    assert carried.maker.settings == settings


def test_gpaw_has_a_category_and_cores_of_its_own(files: dict[str, Artifact]) -> None:
    route = JobRoute(category="gpaw", cpus=16)
    machine = Machine(
        categories={"cpu": {}, "gpu": {}, "gpaw": {}},
        jobs=JobRoutes(gpaw_labelling=route),
    )
    flow = GpawLabellingMaker().make(files)

    route_flow(flow, machine)

    assert kind_of(flow.jobs[0].name) == "gpaw_labelling"
    config = flow.jobs[0].config.manager_config
    assert config == describe_route(machine.route("gpaw_labelling"))
    assert config["_queueadapter"] == {"cpus_per_task": 16}
