from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from nextrung.adapters.cluster.checks.queue import check_queue
from nextrung.adapters.cluster.templates import write_configuration
from nextrung.schemas.cluster.machine import Cluster, Site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.slurm import Slurm

    from nextrung.schemas.cluster.checks import Finding


@pytest.fixture
def in_slurm(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Login node of the Slurm cluster of the tests."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, slurm.environment[name])


def examine(folder: Path, cluster: Cluster, **site: Any) -> dict[str, Finding]:  # noqa: ANN401
    """Findings of a new configuration folder, by subject."""
    where = {"config": str(folder), "root": "/r", "data": "/d", "environment": "/e"}
    settings = Site.model_validate(
        {"cluster": cluster, "cpus": 1, "gpus": 2, "launchpad_database": "l"}
        | where
        | site
    )
    write_configuration(folder, settings, password="none")
    return {found.subject: found for found in check_queue(folder)}


@pytest.mark.slurm
@pytest.mark.usefixtures("in_slurm")
def test_slurm_accepts_the_jobs_of_every_worker(tmp_path: Path) -> None:
    found = examine(tmp_path, Cluster.SLURM)

    assert {name: one.level.value for name, one in found.items()} == dict.fromkeys(
        [
            "cpu/my_qadapter.yaml",
            "cpu/reserved_qadapter.yaml",
            "gpu/my_qadapter.yaml",
            "gpu/reserved_qadapter.yaml",
            "node/my_qadapter.yaml",
        ],
        "ok",
    )


@pytest.mark.slurm
@pytest.mark.usefixtures("in_slurm")
@pytest.mark.parametrize(
    ("site", "reason"),
    [
        ({"gpu_partition": "a100"}, "invalid partition"),
        ({"gpus": 3, "cpus": 1}, "not available"),
    ],
)
def test_the_reason_of_slurm_is_reported(
    tmp_path: Path, site: dict[str, Any], reason: str
) -> None:
    found = examine(tmp_path, Cluster.SLURM, **site)

    assert found["gpu/my_qadapter.yaml"].level == "fail"
    assert reason in found["gpu/my_qadapter.yaml"].found
    assert "\n" not in found["gpu/my_qadapter.yaml"].found
    assert found["cpu/my_qadapter.yaml"].level == "ok"


def test_a_configuration_without_queue_has_no_findings(tmp_path: Path) -> None:
    assert examine(tmp_path, Cluster.ONE_MACHINE) == {}


def test_a_machine_without_sbatch_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    found = examine(tmp_path, Cluster.SLURM)

    assert found["queue"].found == "no sbatch on this machine"


def test_a_controller_that_does_not_respond_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(command: list[str], **_options: object) -> None:
        raise subprocess.TimeoutExpired(command, 30)

    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/sbatch")
    monkeypatch.setattr(subprocess, "run", wait)

    found = examine(tmp_path, Cluster.SLURM)["cpu/my_qadapter.yaml"]

    assert (found.level, found.advice) == ("fail", "check that its controller runs")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("queue: cpu", "_fw_q_type"), ("_fw_q_type: OAR", "not a supported queue")],
)
def test_a_file_that_fireworks_cannot_use_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, reason: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/sbatch")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "my_qadapter.yaml").write_text(content)

    (found,) = check_queue(tmp_path)

    assert found.level == "fail"
    assert reason in found.found
