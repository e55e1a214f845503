"""How far a study is, as a person asks for it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.cli.test_study import QUICK

from nextrung.cli.status import _describe, _describe_job, _show
from nextrung.schemas.cluster.progress import (
    RunningJob,
    ShardProgress,
    StudyProgress,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fireworks import LaunchPad
    from jobflow import JobStore
    from tests.cli.conftest import Finished
    from tests.services import Database

    Call = Callable[..., Finished]


@pytest.fixture
def submitted(
    call: Call,
    database: Database,
    launchpad: LaunchPad,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A study on the LaunchPad of the environment."""
    assert launchpad.name == database.name
    folder = database.write_configuration(tmp_path / "config")
    monkeypatch.setenv("NEXTRUNG_CONFIG", str(folder))
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(folder / "jobflow.yaml"))
    study = tmp_path / "quick.yaml"
    study.write_text(yaml.safe_dump(QUICK))
    call("submit", study)


@pytest.mark.mongo
@pytest.mark.usefixtures("submitted")
def test_jobs_of_a_submitted_study_are_counted(call: Call) -> None:
    shown = call("status", "quick").output

    assert "study quick, workflow 1: READY" in shown
    lines = [line.split("│") for line in shown.splitlines() if "evaluation" in line]
    assert [cell.strip() for cell in lines[0][1:4]] == ["evaluation", "2", ""]


@pytest.mark.mongo
@pytest.mark.usefixtures("submitted")
def test_status_is_one_json_object(call: Call) -> None:
    shown = json.loads(call("status", "quick", "--json").output)

    assert shown["jobs"]["evaluation"] == {"WAITING": 2}
    assert shown["jobs"]["dataset"] == {"READY": 1}
    assert shown["shards"]["n_done"] == 0


@pytest.mark.mongo
def test_without_launchpad_the_finished_jobs_of_the_store_are_counted(
    call: Call,
    database: Database,
    mongo_store: JobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NEXTRUNG_CONFIG", raising=False)
    file = database.write_configuration(tmp_path) / "jobflow.yaml"
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(file))
    document = {"uuid": "a", "index": 1, "name": "evaluate", "completed_at": "2026"}
    mongo_store.update([document | {"metadata": {"study": "demo"}}], save=False)
    mongo_store.update([document | {"uuid": "b", "metadata": {}}], save=False)

    assert call("status", "demo").output == "     1  evaluate\n"


FAILED = {
    "fw_id": 7,
    "name": "relax shard 4 of 4 source",
    "reason": "InputError: no [GPU]",
}


def progress(**changes: object) -> StudyProgress:
    shards = {
        "n_done": 3,
        "n_left": 1,
        "n_materials": 300,
        "busy_hours": 2.0,
        "materials_per_hour": 150.0,
        "hours_left": 2 / 3,
    }
    found = {
        "study": "demo",
        "workflow": 1,
        "state": "FIZZLED",
        "jobs": {"relaxation": {"COMPLETED": 3, "FIZZLED": 1}},
        "running": [],
        "failed": [FAILED],
        "shards": shards | changes,
    }
    return StudyProgress.model_validate(found)


def test_shards_are_told_in_one_line() -> None:
    assert _describe(progress().shards) == (
        "shards: 3 of 4 done, 300 materials, 150 materials/h, about 0.7 h left"
    )


def test_what_is_not_known_is_not_told() -> None:
    unknown: dict[str, None] = {"materials_per_hour": None, "hours_left": None}
    begun = ShardProgress.model_validate(
        {"n_done": 0, "n_left": 4, "n_materials": 0, "busy_hours": 0} | unknown
    )

    assert _describe(begun) == "shards: 0 of 4 done, 0 materials"


def test_failed_jobs_are_named_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _show(progress())

    shown = capsys.readouterr().out
    assert (
        "failed: relax shard 4 of 4 source (firework 7): InputError: no [GPU]\n"
        in shown
    )
    assert (
        """`lpad rerun_fws -q '{"spec.study": "demo", "state": "FIZZLED"}'`""" in shown
    )


def running(**changes: object) -> RunningJob:
    now = datetime.now(UTC)
    job = {
        "uuid": "a",
        "name": "fine-tune source",
        "host": "n12",
        "done": 17,
        "total": 50,
        "text": "energy 21 meV/atom",
        "first_done": 5,
        "started_at": now - timedelta(hours=6),
        "updated_at": now,
    }
    return RunningJob.model_validate(job | changes)


def test_running_jobs_are_told_with_errors_and_time_left() -> None:
    """12 epochs in 6 h: 33 more take 16.5 h."""
    assert _describe_job(running()) == (
        "fine-tune source on n12: 17 of 50, energy 21 meV/atom, about 16.5 h left"
    )


def test_the_age_of_an_old_report_is_told() -> None:
    old = datetime.now(UTC) - timedelta(minutes=34)
    job = running(updated_at=old, started_at=old, text="")

    assert (
        _describe_job(job) == "fine-tune source on n12: 17 of 50, reported 34 min ago"
    )


def test_no_more_jobs_are_listed_than_can_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = progress().model_copy(update={"running": [running()] * 64})

    _show(found)

    shown = capsys.readouterr().out
    assert shown.count("running: ") == 10
    assert "… and 54 more: --json" in shown


@pytest.mark.mongo
@pytest.mark.usefixtures("submitted")
def test_a_study_that_does_not_exist_is_one_line_and_exit_code_2(call: Call) -> None:
    ended = call("status", "nosuchstudy")

    assert (ended.code, ended.output) == (2, "")
    assert ended.errors == (
        "nextrung: expected a workflow of study nosuchstudy on the LaunchPad, got "
        "those of quick\n"
    )


@pytest.mark.mongo
@pytest.mark.usefixtures("submitted")
def test_the_command_to_rerun_leaves_other_studies_alone(
    call: Call, launchpad: LaunchPad, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(QUICK | {"name": "other"}))
    call("submit", other)
    failed = {"$set": {"state": "FIZZLED"}}
    launchpad.fireworks.update_many({"state": "READY"}, failed)
    launchpad.workflows.update_many({}, failed)

    shown = call("status", "quick").output
    advice = re.search(r"`lpad (.*)`", shown)
    assert advice is not None
    config = os.environ["NEXTRUNG_CONFIG"]
    lpad = [sys.executable, "-m", "fireworks.scripts.lpad_run", "-c", config]
    subprocess.run([*lpad, *shlex.split(advice[1])], check=True)  # noqa: S603

    states = {
        (job["spec"]["study"], job["state"]) for job in launchpad.fireworks.find()
    }
    assert {("quick", "READY"), ("other", "FIZZLED")} < states
    assert not {("quick", "FIZZLED"), ("other", "READY")} & states
