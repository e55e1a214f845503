"""The command that tests the potential energy surface."""

from __future__ import annotations

import csv
import re
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.cli.test_study import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

FAST = ("--crystal", "NaCl rocksalt", "--test", "equation_of_state")


def test_every_number_is_shown_and_written(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"

    shown = call("physics", *FAST, "-o", file)

    assert shown.code == 0, shown.errors
    assert "of 2 passed, 0 without a value" in shown.output
    with file.open() as rows:
        measured = {row["measure"]: row for row in csv.DictReader(rows)}
    assert list(measured) == ["lattice_parameter", "bulk_modulus"]
    assert float(measured["lattice_parameter"]["value"]) == pytest.approx(5.6, abs=0.2)
    assert float(measured["lattice_parameter"]["experiment"]) == pytest.approx(5.6402)


def test_numbers_are_those_of_a_run_folder(call: Call, tmp_path: Path) -> None:
    options = ("physics", *FAST, "--source", "chgnet-0.3.0")

    alone = call(*options)
    stored = call(*options, "--root", tmp_path / "run")

    lines = [each.output.splitlines() for each in (alone, stored)]
    deviations = [
        next(line for line in each if line.startswith("deviation from the source"))
        for each in lines
    ]
    assert deviations[0] == deviations[1]
    assert "153 perturbed structures of 51 crystals" in deviations[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--crystal", "Si"), r"expected crystals among C diamond, .*, got Si"),
        (("--test", "nve"), "'repulsion' or 'molecular_dynamics', got 'nve'"),
        (("-o", "rows.xyz"), r"ends in \.csv, \.json, \.jsonl, \.parquet, got"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(
    call: Call, options: tuple[str, ...], message: str
) -> None:
    ended = call("physics", *options)

    assert ended.code == 2
    assert re.search(message, ended.errors)
    assert ended.errors.count("\n") == 1


def test_without_phonopy_nothing_runs(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "phonopy", None)
    module = "nextrung.compute.physics.phonons"
    monkeypatch.delitem(sys.modules, module, raising=False)

    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**QUICK, "physics": {}}))

    for command in (("physics",), ("run", tmp_path / "study.yaml")):
        ended = call(*command)

        assert ended.code == 2
    assert "study.yaml: expected phonopy" in ended.errors
    assert "pip install 'nextrung[physics]'" in ended.errors
    assert ended.errors.count("\n") == 1


def test_a_study_with_an_unknown_crystal_does_not_start(
    call: Call, tmp_path: Path
) -> None:
    physics = {"tests": ["repulsion"], "molecular_dynamics": {"crystals": ["salt"]}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**QUICK, "physics": physics}))

    ended = call("run", tmp_path / "study.yaml")

    assert ended.code == 2
    assert "physics: expected crystals among C diamond" in ended.errors
    assert ended.errors.count("\n") == 1
