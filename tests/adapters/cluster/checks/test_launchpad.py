from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fireworks import Firework, FWorker
from jobflow import job
from jobflow.managers.fireworks import JobFiretask

from nextrung.adapters.cluster.checks.launchpad import (
    _check_clocks,
    check_launchpad,
)

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks import LaunchPad
    from tests.services import Database

    from nextrung.schemas.cluster.checks import Finding


@job
def nothing() -> None:
    """Do nothing."""


def examine(launchpad: LaunchPad, folder: Path) -> dict[str, Finding]:
    """Findings by subject."""
    return {found.subject: found for found in check_launchpad(launchpad, folder)}


def write_workers(folder: Path, **categories: str) -> None:
    for name, category in categories.items():
        (folder / name).mkdir()
        (folder / name / "my_fworker.yaml").write_text(f"category: {category}")


def add_job(launchpad: LaunchPad, category: str) -> None:
    task = JobFiretask(job=nothing(), store=None)
    launchpad.add_wf(Firework([task], {"_category": category}))


@pytest.mark.mongo
def test_a_launchpad_whose_workers_pull_all_jobs_has_no_warnings(
    launchpad: LaunchPad, tmp_path: Path
) -> None:
    write_workers(tmp_path, cpu="cpu", gpu="gpu")
    add_job(launchpad, "gpu")

    found = examine(launchpad, tmp_path)

    assert {one.level for one in found.values()} == {"ok"}
    assert found["jobs without worker"].found == "workers pull cpu, gpu"
    assert "MongoDB 6" in found["LaunchPad"].found


@pytest.mark.mongo
def test_jobs_that_no_worker_pulls_are_counted(
    launchpad: LaunchPad, tmp_path: Path
) -> None:
    write_workers(tmp_path, cpu="cpu")
    for category in ("gpu", "gpu", "large"):
        add_job(launchpad, category)

    found = examine(launchpad, tmp_path)["jobs without worker"]

    assert found.level == "fail"
    assert found.found == "no worker pulls gpu (2 waiting), large (1 waiting)"


@pytest.mark.mongo
def test_a_worker_of_every_category_pulls_every_job(
    launchpad: LaunchPad, tmp_path: Path
) -> None:
    write_workers(tmp_path, all="''")
    add_job(launchpad, "large")

    found = examine(launchpad, tmp_path)

    assert found["jobs without worker"].level == "ok"
    assert found["workers without job"].level == "ok"


@pytest.mark.mongo
def test_workers_without_jobs_are_listed(launchpad: LaunchPad, tmp_path: Path) -> None:
    write_workers(tmp_path, cpu="cpu", gpu="[gpu, gpu4]", other="tpu")

    found = examine(launchpad, tmp_path)["workers without job"]

    assert (found.level, found.found) == ("warn", "no job for other/my_fworker.yaml")


@pytest.mark.mongo
def test_a_launchpad_that_was_never_prepared_fails(
    database: Database, tmp_path: Path
) -> None:
    launchpad = database.launchpad()
    with closing(launchpad.connection):
        found = examine(launchpad, tmp_path)["LaunchPad"]

    assert found.level == "fail"
    assert found.found.endswith("never prepared")


@pytest.mark.mongo
def test_runs_without_heartbeat_are_counted(
    launchpad: LaunchPad, tmp_path: Path
) -> None:
    add_job(launchpad, "cpu")
    launchpad.fireworks.update_many({}, {"$set": {"spec.study": "demo"}})
    launchpad.checkout_fw(FWorker(), str(tmp_path))
    long_ago = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    history = "state_history.$[].updated_on"
    launchpad.launches.update_one({}, {"$set": {history: long_ago}})

    found = examine(launchpad, tmp_path)["running jobs"]

    assert (found.level, found.found.split()[0]) == ("warn", "1")
    assert """--rerun -q '{"spec.study": "demo"}'`""" in found.advice
    assert launchpad.get_fw_ids({"state": "RUNNING"}) == [1]


class Clock:
    """A server with a wrong clock."""

    def __init__(self, seconds: float) -> None:
        self.connection = self.admin = self
        self.seconds = seconds

    def command(self, _name: str) -> dict[str, Any]:
        now = datetime.now(UTC) + timedelta(seconds=self.seconds)
        return {"localTime": now.replace(tzinfo=None)}


@pytest.mark.parametrize(
    ("seconds", "level"), [(0, "ok"), (60, "warn"), (-60, "warn"), (900, "fail")]
)
def test_clocks_are_compared(seconds: float, level: str) -> None:
    found = _check_clocks(Clock(seconds))

    assert found.level == level
    assert found.found.startswith(f"{abs(seconds)}.")


@pytest.mark.mongo
@pytest.mark.parametrize("stored", [datetime, str])
def test_jobs_that_no_launcher_has_looked_at_are_counted(
    launchpad: LaunchPad, tmp_path: Path, stored: type
) -> None:
    for category in ("cpu", "gpu", "gpu"):
        add_job(launchpad, category)
    long_ago = datetime.now(UTC) - timedelta(minutes=34)
    since = long_ago if stored is datetime else long_ago.isoformat()
    first = {"fw_id": {"$lt": 3}}
    launchpad.fireworks.update_many(first, {"$set": {"updated_on": since}})
    launchpad.checkout_fw(FWorker(category="cpu"), str(tmp_path))

    found = examine(launchpad, tmp_path)["ready jobs"]

    assert found.level == "warn"
    assert found.found == "no worker has taken a job: 2 of gpu for 34 min"
    assert "pgrep -af" in found.advice


@pytest.mark.mongo
def test_ready_jobs_of_a_category_whose_workers_are_busy_are_no_finding(
    launchpad: LaunchPad, tmp_path: Path
) -> None:
    for category in ("gpu", "gpu"):
        add_job(launchpad, category)
    long_ago = datetime.now(UTC) - timedelta(days=1)
    launchpad.fireworks.update_many({}, {"$set": {"updated_on": long_ago}})
    launchpad.checkout_fw(FWorker(category="gpu"), str(tmp_path))

    assert examine(launchpad, tmp_path)["ready jobs"].level == "ok"
