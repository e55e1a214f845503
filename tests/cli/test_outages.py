"""Workers and launchers that outlive an outage of MongoDB, sixty times faster."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from fireworks import Firework, PyTask

from nextrung.adapters.cluster.templates import PLACEHOLDER, TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fireworks import LaunchPad
    from tests.services import Database

pytestmark = [pytest.mark.mongo]

#: An outage of ten minutes in s, and the timeouts of the templates, both divided by it.
FACTOR = 60
OUTAGE = 600 / FACTOR

#: Timeout of the driver in ms where no file sets one.
DRIVER_TIMEOUT = 30_000


@pytest.fixture
def config(database: Database, launchpad: LaunchPad, tmp_path: Path) -> Path:
    """A configuration folder with the timeouts of the template of a Slurm cluster."""
    assert launchpad.name == database.name
    folder = database.write_configuration(tmp_path / "config")
    template = yaml.safe_load((TEMPLATES / "slurm" / "my_launchpad.yaml").read_text())
    options = template["mongoclient_kwargs"]
    name = "serverSelectionTimeoutMS"
    options[name] = options.get(name, DRIVER_TIMEOUT) // FACTOR
    file = folder / "my_launchpad.yaml"
    settings = yaml.safe_load(file.read_text()) | {"mongoclient_kwargs": options}
    file.write_text(yaml.safe_dump(settings))
    hurry = {"RAPIDFIRE_SLEEP_SECS": 1, "QUEUE_UPDATE_INTERVAL": 1}
    (folder / "FW_config.yaml").write_text(
        yaml.safe_dump({"CONFIG_FILE_DIR": str(folder)} | hurry)
    )
    for name in ("cpu/my_fworker.yaml", "cpu/my_qadapter.yaml"):
        content = (TEMPLATES / "slurm" / name).read_text()
        filled = content.replace("<config>", str(folder))
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(PLACEHOLDER.sub("cpu", filled))
    (folder / "logs").mkdir()
    return folder


@contextmanager
def running(
    command: list[str], config: Path, search_path: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of FireWorks in the environment of a configuration folder."""
    environment = os.environ | {
        "FW_CONFIG_FILE": str(config / "FW_config.yaml"),
        "PATH": f"{search_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (config / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=config, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def wait_for(happened: Callable[[], bool], log: Path, seconds: float = 60) -> None:
    """Wait until something is true; fail with the log."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            pytest.fail(log.read_text()[-3000:])
        time.sleep(0.2)


def add_job(database: Database) -> None:
    """Add a job of the category cpu to the LaunchPad."""
    launchpad = database.launchpad()
    with closing(launchpad.connection):
        task = PyTask(func="builtins.print", args=["done"])
        launchpad.add_wf(Firework(task, {"_category": "cpu"}))


def has_completed(database: Database) -> bool:
    """Return whether every job of the LaunchPad is done."""
    launchpad = database.launchpad()
    with closing(launchpad.connection):
        return bool(launchpad.fireworks.distinct("state") == ["COMPLETED"])


def test_an_idle_worker_outlives_an_outage_of_ten_minutes(
    config: Path, database: Database
) -> None:
    command = ["rlaunch", "-c", str(config / "cpu"), "rapidfire"]
    with running([*command, "--nlaunches", "infinite"], config) as worker:
        wait_for(lambda: b"Sleeping" in (config / "log").read_bytes(), config / "log")
        database.mongod.stop()
        time.sleep(OUTAGE)
        database.mongod.start()
        add_job(database)

        wait_for(lambda: has_completed(database), config / "log")
        assert worker.poll() is None


def test_the_launcher_of_the_template_outlives_an_outage_of_ten_minutes(
    config: Path, database: Database, tmp_path: Path
) -> None:
    """Its pilots are not started: sbatch only notes that it was called."""
    programs, notes = tmp_path / "bin", tmp_path / "submitted"
    programs.mkdir()
    for name, content in (
        ("sbatch", f"touch {notes}; echo Submitted batch job 1"),
        ("squeue", "true"),
    ):
        (programs / name).write_text(f"#!/bin/bash\n{content}\n")
        (programs / name).chmod(0o755)
    adapter = (config / "cpu" / "my_qadapter.yaml").read_text()
    template = re.search(r"#   (qlaunch .*)", adapter)
    assert template is not None
    command = template[1].replace("-d 60", "-d 1")

    with running(command.split(), config, str(programs)) as launcher:
        wait_for(lambda: (config / "log").stat().st_size > 0, config / "log")
        time.sleep(2)
        database.mongod.stop()
        time.sleep(OUTAGE)
        database.mongod.start()
        assert not notes.exists()
        add_job(database)

        wait_for(notes.exists, config / "log")
        assert launcher.poll() is None
