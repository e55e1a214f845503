"""Every command of docs/clusters.md does what the page says, on a real LaunchPad."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fireworks import FWorker
from fireworks.scripts import lpad_run

from nextrung.adapters.cluster.launchpad import add_workflow, find_active_workflows
from nextrung.adapters.files.study_yaml import read_study
from nextrung.makers.submission import make_workflow
from nextrung.schemas.cluster.machine import Machine

if TYPE_CHECKING:
    from fireworks import LaunchPad

pytestmark = pytest.mark.mongo

ROOT = Path(__file__).parents[2]
COMMANDS = re.findall(
    r"^lpad .*$", (ROOT / "docs/clusters.md").read_text(), re.MULTILINE
)


@pytest.fixture
def submitted(launchpad: LaunchPad, monkeypatch: pytest.MonkeyPatch) -> LaunchPad:
    """A LaunchPad with the study of the page, cut down to its first jobs."""
    changes = ["name=mp_r2scan", "models=[source]", "scaling_law=null", "density=null"]
    study = read_study(ROOT / "workflows" / "demo.yaml", changes)
    add_workflow(launchpad, make_workflow(study, Machine(), {"project": "oxides"}))
    monkeypatch.setattr(lpad_run, "get_lp", lambda _: launchpad)
    return launchpad


def lpad(command: str) -> None:
    """Call a command of FireWorks in this process."""
    lpad_run.lpad(shlex.split(command)[1:])


def states(launchpad: LaunchPad) -> dict[str, str]:
    return {job["name"]: job["state"] for job in launchpad.fireworks.find()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_of_fireworks(
    submitted: LaunchPad, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submitted.workflows.count_documents({}) == 1

    lpad(command)

    assert "Traceback" not in capsys.readouterr().err


def find(words: str) -> str:
    """The command of the page that begins with words."""
    commands: list[str] = COMMANDS
    return next(line for line in commands if line.startswith(f"lpad {words}"))


def test_a_failed_job_runs_again(submitted: LaunchPad, tmp_path: Path) -> None:
    job, launch_id = submitted.checkout_fw(FWorker(), str(tmp_path))
    submitted.mark_fizzled(launch_id)
    assert states(submitted)[job.name] == "FIZZLED"

    lpad(find("rerun_fws"))

    assert states(submitted)[job.name] == "READY"


def test_a_paused_study_goes_on(submitted: LaunchPad) -> None:
    lpad(find("pause_wflows"))
    assert set(states(submitted).values()) == {"PAUSED"}

    lpad(find("resume_fws"))
    assert {"READY", "WAITING"} == set(states(submitted).values())


def test_an_archived_study_is_not_in_the_way_of_the_next(
    submitted: LaunchPad,
) -> None:
    assert len(find_active_workflows(submitted, "mp_r2scan")) == 1

    lpad(find("archive_wflows"))

    assert find_active_workflows(submitted, "mp_r2scan") == []
