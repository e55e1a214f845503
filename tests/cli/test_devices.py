"""The device that commands compute on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch
import yaml
from tests.cli.test_study import QUICK

from nextrung.cli.running import use_device
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

COMPUTING = (
    ("run", "study.yaml"),
    ("preflight", "study.yaml"),
    ("dataset", "build", "study.yaml"),
    ("evaluate", "frames.parquet"),
    ("relax", "a.cif"),
    ("density",),
    ("physics", "--test", "equation_of_state"),
    ("benchmark", "chgnet-r2scan"),
    ("fine-tune", "frames.parquet"),
    ("atom-refs", "fit", "frames.parquet"),
)


@pytest.fixture(autouse=True)
def study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a study; no file that a command reads later is there."""
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(QUICK))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMPUTING, ids=" ".join)
def test_an_unknown_device_is_one_line_before_anything_is_read(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    named = call(*command, "--device", "nonsense")
    monkeypatch.setenv("NEXTRUNG_DEVICE", "nonsense")
    configured = call(*command)

    assert named.code == configured.code == 2
    assert named.errors == configured.errors
    assert "device: expected auto, cpu, cuda or cuda:N, got 'nonsense'" in named.errors
    assert named.errors.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["study.yaml"]


def test_cuda_is_refused_where_there_is_none(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    ended = call("density", "--device", "cuda")

    assert ended.code == 2
    assert "got 'cuda', on a machine with 0 cuda devices" in ended.errors


def test_the_option_is_stronger_than_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXTRUNG_DEVICE", "nonsense")

    use_device("cpu")

    assert os.environ["NEXTRUNG_DEVICE"] == "cpu"
    with pytest.raises(InputError, match="got 'cpu:1', on a machine with 1 cpu"):
        use_device("cpu:1")


def test_a_number_of_processes_that_cannot_be_is_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_N_PROCESSES", "0")

    ended = call("run", "study.yaml", "--root", "run")

    assert ended.code == 2
    assert "$NEXTRUNG_N_PROCESSES: input should be greater than" in ended.errors
    assert ended.errors.count("\n") == 1
