"""Jobs during an outage of the database or the failure of a device."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket import Rocket
from fireworks.core.rocket_launcher import rapidfire
from jobflow import SETTINGS, Flow, run_locally
from jobflow.managers.fireworks import flow_to_workflow

from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.base import Record, TaskDoc

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore
    from tests.services import Mongod

pytestmark = pytest.mark.mongo

#: What jobs did, and the server they run beside.
CALLS: list[int] = []
SERVER: list[Mongod] = []


class OutageSettings(Record):
    seconds: float = 2


class RowsDoc(TaskDoc):
    rows: list[int]


@dataclass(kw_only=True)
class OutageMaker(StageMaker):
    """Stop the database while the job runs; it comes back some time later."""

    name: str = "work without a database"
    settings: OutageSettings = field(default_factory=OutageSettings)

    @task_job(output_schema=RowsDoc, data=["rows"])
    def make(self) -> RowsDoc:
        CALLS.append(1)
        for server in SERVER:
            server.stop()
            threading.Timer(self.settings.seconds, server.start).start()
        return RowsDoc(rows=[1, 2, 3], provenance=provenance())


@dataclass(kw_only=True)
class BrokenDeviceMaker(StageMaker):
    """A job whose device fails."""

    name: str = "break the device"

    @task_job(output_schema=RowsDoc)
    def make(self) -> RowsDoc:
        """Raise what torch raises."""
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    CALLS.clear()
    SERVER.clear()
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_firework_completes_after_an_outage(
    mongod: Mongod,
    mongo_store: JobStore,
    launchpad: LaunchPad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SETTINGS, "JOB_STORE", mongo_store)
    job = OutageMaker().make()
    launchpad.add_wf(flow_to_workflow(Flow(job)))
    SERVER.append(mongod)

    rapidfire(launchpad, FWorker(), nlaunches=1)

    assert launchpad.get_fw_by_id(1).state == "COMPLETED"
    assert mongo_store.get_output(job.uuid, load=True)["rows"] == [1, 2, 3]
    assert CALLS == [1]


def test_a_failed_device_fizzles_its_firework_and_starts_no_other(
    mongo_store: JobStore, launchpad: LaunchPad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SETTINGS, "JOB_STORE", mongo_store)
    monkeypatch.setattr(Rocket, "run", Rocket.run)
    monkeypatch.setattr(LaunchPad, "run_exists", LaunchPad.run_exists)
    for name in ("first", "second"):
        job = BrokenDeviceMaker(name=name).make()
        launchpad.add_wf(flow_to_workflow(Flow([job])))

    with pytest.raises(SystemExit, match="71"):
        rapidfire(launchpad, FWorker())

    launches = [launchpad.get_fw_by_id(fw_id) for fw_id in launchpad.get_fw_ids()]
    assert sorted(launch.state for launch in launches) == ["FIZZLED", "READY"]
    (failed,) = (launch for launch in launches if launch.state == "FIZZLED")
    trace = failed.launches[0].action.stored_data["_exception"]["_stacktrace"]
    assert "illegal memory access" in trace


def test_a_reused_document_leaves_no_old_arrays(mongo_store: JobStore) -> None:
    """jobflow stores a reused document again, and alone would keep the old arrays."""
    for _ in range(3):
        job = OutageMaker().make()
        run_locally(job, store=mongo_store, log=False, raise_immediately=True)

    arrays = mongo_store.additional_stores["data"]  # type: ignore[has-type]
    assert arrays.count() == 1
    assert mongo_store.get_output(job.uuid, load=True)["rows"] == [1, 2, 3]
    assert CALLS == [1]


def test_a_document_without_its_arrays_is_made_again(mongo_store: JobStore) -> None:
    """As an outage between the two writes of jobflow leaves it."""
    job = OutageMaker().make()
    run_locally(job, store=mongo_store, log=False, raise_immediately=True)
    mongo_store.additional_stores["data"].remove_docs({})  # type: ignore[has-type]

    run_locally(
        OutageMaker().make(), store=mongo_store, log=False, raise_immediately=True
    )

    assert mongo_store.get_output(job.uuid, load=True)["rows"] == [1, 2, 3]
    assert CALLS == [1, 1]
