"""Inputs are checked before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.cli.bad_inputs import write_study
from tests.cli.test_study import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file."""
    write_study(tmp_path / "study.yaml", QUICK)
    return tmp_path / "study.yaml"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("source=nope", "source: potential: expected chgnet-0.3.0, chgnet-r2scan"),
        ("dataset.source.teacher=nope", "dataset.source.teacher: potential: expected"),
        (
            "alignment={source_references: nope}",
            "alignment.source_references: potential: expected",
        ),
        (
            "alignment={source: {kind: ase, functional: PBE, paths: [nope]}}",
            "nope: expected a file or folder, got none at nope",
        ),
        ("source=foreign.pth.tar", "source: foreign.pth.tar: expected a checkpoint of"),
    ],
    ids=["source", "teacher", "references", "alignment", "foreign"],
)
def test_the_inputs_of_a_study_are_checked_before_it_runs(
    call: Call, study: Path, override: str, line: str
) -> None:
    torch.save({"weights": torch.zeros(3)}, "foreign.pth.tar")

    for options in (["--dry-run"], []):
        ended = call("run", study, "--set", override, *options)

        assert (ended.code, ended.output) == (2, "")
        assert line in ended.errors


@pytest.mark.parametrize("name", ["nope", "model.pth.tar", "sevennet:model.pth.tar"])
def test_workers_must_find_the_potentials_of_a_submitted_study(
    call: Call, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A relative file is found here, but not in the folders of the workers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pth.tar").touch()

    ended = call("submit", study, "--set", f"source={name}", "-c", tmp_path)

    assert ended.code == 2
    assert f"source: {'potential: ' if name == 'nope' else ''}expected" in ended.errors


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("NEXTRUNG_DEVICE", "nonsense", "device: expected auto, cpu, cuda or cuda:N"),
        ("NEXTRUNG_N_PROCESSES", "0", "$NEXTRUNG_N_PROCESSES: input should be greater"),
        ("NEXTRUNG_N_PROCESSES", "two", "$NEXTRUNG_N_PROCESSES: input should be a"),
        ("SLURM_CPUS_PER_TASK", "two", "$SLURM_CPUS_PER_TASK: expected a number"),
    ],
)
def test_variables_of_the_machine_are_checked_before_files_are_read(
    call: Call, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    monkeypatch.setenv(variable, value)

    for command in (
        ("relax", "none.cif"),
        ("evaluate", "none.extxyz"),
        ("density", "--crystals", "none"),
    ):
        ended = call(*command)

        assert ended.code == 2
        assert line in ended.errors


def test_an_output_that_cannot_be_written_is_an_error_of_the_option(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()

    for output, line in (
        (tmp_path / "file", "expected a folder, got a file at"),
        (tmp_path / "folder.csv", "expected a file, got a folder at"),
        ("/proc/x.csv", "expected a folder that can be written, got /proc: "),
        (tmp_path / "file" / "x.csv", "expected a folder at"),
    ):
        ended = call("relax", "none.cif", "-o", output)

        assert ended.code == 2
        assert ended.errors.startswith(f"nextrung: --output: {line}")
