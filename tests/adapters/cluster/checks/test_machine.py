from __future__ import annotations

import os
import shutil
from collections import namedtuple
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.cluster.checks import machine
from nextrung.adapters.cluster.checks.machine import THREAD_VARIABLES, check_machine
from nextrung.schemas.cluster.checks import Level, make_finding

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.cluster.checks import Finding

Usage = namedtuple("Usage", ["total", "used", "free"])  # noqa: PYI024


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configuration folder of a valid machine."""
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path / "runs" / "new"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config"
    config.mkdir()
    for name in ("FW_config.yaml", "my_launchpad.yaml"):
        (config / name).touch(mode=0o600)
    monkeypatch.setenv("FW_CONFIG_FILE", str(config / "FW_config.yaml"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1e12, 0, 1e12))
    gpu = make_finding("GPU", Level.OK, "2 × H200")
    monkeypatch.setattr(machine, "check_gpus", lambda: [gpu])
    monkeypatch.setattr(machine, "requires", lambda _: ["torch>=2"])
    return config


def examine(folder: Path) -> dict[str, Finding]:
    """Findings by subject."""
    return {found.subject: found for found in check_machine(folder)}


def test_a_valid_machine_has_no_warnings(folder: Path) -> None:
    found = examine(folder)

    assert {one.level for one in found.values()} == {"ok"}
    assert found["GPU"].found == "2 × H200"
    assert found["run folder"].found.endswith("new, 1000 GB free")


def test_old_and_missing_packages_are_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ["torch>=99", "no-such-package", 'other; extra == "test"']
    monkeypatch.setattr(machine, "requires", lambda _: wanted)

    found = examine(folder)["packages"]

    assert found.level == "fail"
    assert "(needs >=99), no-such-package none" in found.found
    assert "other" not in found.found


@pytest.mark.parametrize(
    ("free", "level"), [(1e12, "ok"), (20e9, "warn"), (0.5e9, "fail")]
)
def test_little_free_space_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, free: float, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1e12, 0, free))

    assert examine(folder)["run folder"].level == level


def test_a_relative_run_folder_is_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", "runs")

    found = examine(folder)["run folder"]

    assert (found.level, found.found) == ("fail", "runs is relative")


def test_a_run_folder_that_cannot_be_written_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert "cannot be written" in examine(folder)["run folder"].found


def test_thread_variables_other_than_1_are_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("MKL_NUM_THREADS")

    found = examine(folder)["threads"]

    assert found.level == "warn"
    assert found.found == "OMP_NUM_THREADS=8, MKL_NUM_THREADS="


@pytest.mark.parametrize("place", [".", ".fireworks"])
def test_another_file_that_fireworks_reads_first_is_reported(
    folder: Path, place: str
) -> None:
    shadow = folder.parent / place / "FW_config.yaml"
    shadow.parent.mkdir(exist_ok=True)
    shadow.touch()

    assert "instead of" in examine(folder)["FW_config.yaml"].advice


def test_an_environment_that_was_not_sourced_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FW_CONFIG_FILE")

    assert examine(folder)["FW_config.yaml"].advice == f"source {folder}/env.sh"


def test_passwords_that_others_can_read_are_reported(folder: Path) -> None:
    (folder / "my_launchpad.yaml").chmod(0o644)

    found = examine(folder)["passwords"]

    assert found.level == "warn"
    assert found.advice == f"chmod 600 {folder / 'my_launchpad.yaml'}"
