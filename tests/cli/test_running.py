from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from jobflow import Flow, job

from nextrung.cli.running import count_jobs, locate_study, open_run, opened, run_flow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services import Database


@job
def nothing() -> None:
    """Do nothing."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", "")
    monkeypatch.chdir(tmp_path)


def test_run_folder_is_named_by_the_study(tmp_path: Path) -> None:
    open_run(None, "study")

    assert os.environ["NEXTRUNG_ROOT"] == str(tmp_path / "runs" / "study")
    assert (tmp_path / "runs" / "study" / "store").is_dir()


def test_flow_leaves_its_documents_in_the_store(tmp_path: Path) -> None:
    store = open_run(tmp_path / "run", "study")
    flow = Flow([nothing()])

    run_flow(flow, store)

    assert store.count({"uuid": flow.jobs[0].uuid}) == 1


@pytest.mark.mongo
def test_the_configured_store_is_closed_when_the_command_ends(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = database.write_configuration(tmp_path) / "jobflow.yaml"
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(file))

    store, name = locate_study("demo", None)

    assert name == "demo"
    assert store.docs_store._coll is not None
    opened.close()
    assert store.docs_store._coll is None


def test_jobs_of_nested_flows_are_counted() -> None:
    inner = Flow([nothing(), nothing()])

    assert count_jobs(Flow([nothing(), inner])) == 3
