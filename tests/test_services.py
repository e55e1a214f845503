"""The servers of the tests are what a cluster has."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from fireworks import LaunchPad
from jobflow.settings import JobflowSettings
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from tests import services

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore
    from tests.services import Database, Mongod

pytestmark = pytest.mark.mongo


def test_mongod_refuses_who_has_no_password(mongod: Mongod) -> None:
    with (
        MongoClient(mongod.host, mongod.port) as client,  # type: ignore[var-annotated]
        pytest.raises(OperationFailure, match="requires authentication"),
    ):
        client["any"].list_collection_names()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_acknowledged_documents_survive_a_restart(
    mongod: Mongod, mongo_store: JobStore, how: signal.Signals
) -> None:
    mongo_store.update([{"uuid": "a", "index": 1, "output": 1}], save=False)

    mongod.stop(how=how)
    mongod.start()

    assert mongo_store.get_output("a") == 1


def test_blobs_go_through_gridfs(mongo_store: JobStore) -> None:
    blob = {"uuid": "a", "index": 1, "output": {"rows": list(range(1000))}}

    mongo_store.update([blob], save={"data": ["rows"]})

    assert mongo_store.get_output("a", load=True) == blob["output"]
    (stored,) = mongo_store.query()
    assert stored["output"]["rows"]["store"] == "data"


def test_configuration_files_lead_to_the_same_stores(
    database: Database,
    mongo_store: JobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = database.write_configuration(tmp_path)
    mongo_store.update([{"uuid": "a", "index": 1, "output": 1}], save=False)
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(folder / "jobflow.yaml"))

    configured = JobflowSettings().JOB_STORE
    configured.connect()
    pad = LaunchPad.from_file(str(folder / "my_launchpad.yaml"))

    assert configured.get_output("a") == 1
    assert pad.connection.address == (database.mongod.host, database.mongod.port)
    configured.close()  # type: ignore[no-untyped-call]
    pad.connection.close()


def test_a_missing_service_is_skipped_here_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "")
    monkeypatch.setenv("NEXTRUNG_CI", "")
    with pytest.raises(pytest.skip.Exception, match="no server"):
        services.skip_or_fail("no server")

    monkeypatch.setenv("NEXTRUNG_CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no server"):
        services.skip_or_fail("no server")
