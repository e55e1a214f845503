"""Jobs during an outage of the database: results are late, not lost."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import SETTINGS, Flow, run_locally
from jobflow.managers.fireworks import flow_to_workflow

from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.base import Record, TaskDoc

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks import LaunchPad
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
