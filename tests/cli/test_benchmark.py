"""The command that compares potentials with experiment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from nextrung.adapters.files.frames import read_frames
from nextrung.schemas.benchmark import BenchmarkResults

if TYPE_CHECKING:
    from collections.abc import Callable

    from fireworks import LaunchPad
    from tests.cli.conftest import Finished
    from tests.services import Database

    Call = Callable[..., Finished]

FAST = ("--crystal", "NaCl rocksalt", "--property", "density")


def test_models_and_frames_are_on_one_page_and_in_one_file(
    call: Call, frames_file: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    models = ("chgnet-0.3.0", "chgnet-r2scan")

    shown = call("benchmark", *models, *FAST, "--frames", frames_file, "-o", page)

    assert shown.code == 0, shown.errors
    assert "chgnet-r2scan" in shown.output
    assert "2 potentials against experiment" in page.read_text()
    results = BenchmarkResults.model_validate(
        json.loads((tmp_path / "page.json").read_text())
    )
    assert [each.model for each in results.models] == list(models)
    errors = [each.frames.metrics["all"] for each in results.models if each.frames]
    assert [each.n_frames for each in errors] == [6, 6]
    assert errors[1].energy_mae == pytest.approx(0, abs=1e-5)  # its own labels


def test_a_run_folder_answers_the_second_call(call: Call, tmp_path: Path) -> None:
    root = tmp_path / "run"
    line = ("benchmark", "chgnet-r2scan", *FAST, "--root", root)

    first = call(*line, "-o", tmp_path / "a.html")
    again = call(*line, "-o", tmp_path / "b.html")

    assert first.code == again.code == 0, first.errors
    assert "1 jobs computed, 0 answered" in first.output
    assert "0 jobs computed, 1 answered" in again.output
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()
    rows = call("results", root, "--collection", "benchmarks", "--json")
    (row,) = json.loads(rows.output)
    assert (row["model"], row["material_id"]) == ("chgnet-r2scan", "NaCl rocksalt")


def test_frames_of_other_files_are_read_before_anything_runs(
    call: Call, frames_file: Path, tmp_path: Path
) -> None:
    atoms = [
        structure.to_ase_atoms()
        for structure in read_frames(frames_file)[:2].to_structures()
    ]
    for index, each in enumerate(atoms):
        each.info = {"frame_id": f"f{index}", "material_id": f"m{index}"}
        each.calc = SinglePointCalculator(each, energy=-1.0)
    write(tmp_path / "frames.extxyz", atoms)

    shown = call(
        *("benchmark", "chgnet-r2scan", *FAST, "--functional", "PBE"),
        *("--frames", tmp_path / "frames.extxyz", "-o", tmp_path / "a.html"),
    )

    assert shown.code == 0, shown.errors
    assert "2 frames or unreadable files: 2 kept" in shown.output
    (model,) = json.loads((tmp_path / "a.json").read_text())["models"]
    assert model["frame_labels"] == "PBE"
    assert model["frames"]["metrics"]["all"]["n_frames"] == 2


def test_a_model_that_fails_leaves_the_page_of_the_others(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A factory of ASE that makes a calculator once."""
    (tmp_path / "flaky.py").write_text(
        "from ase.calculators.emt import EMT\n"
        "made = [EMT()]\n"
        "def make():\n"
        "    return made.pop()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    page = tmp_path / "page.html"

    ended = call(
        *("benchmark", "ase:ase.calculators.emt:EMT", "ase:flaky:make", "-o", page),
        *("--crystal", "Cu fcc", "--crystal", "NaCl rocksalt"),
    )

    assert ended.code == 2
    assert "ase:flaky:make: expected a callable without arguments" in ended.errors
    results = BenchmarkResults.model_validate(
        json.loads((tmp_path / "page.json").read_text())
    )
    (emt,) = results.models
    missing = {row.crystal_id: row.error for row in emt.rows if row.value is None}
    assert missing.keys() == {"NaCl rocksalt"}
    assert "No EMT-potential for Na" in (missing["NaCl rocksalt"] or "")
    values = {row.property.value: row.value for row in emt.rows if row.value}
    assert values["lattice_parameter"] == pytest.approx(3.59, abs=0.01)  # ASE's own
    assert values["bulk_modulus"] == pytest.approx(133, rel=0.03)


@pytest.mark.mongo
def test_submitted_jobs_give_the_page_once_they_have_finished(
    call: Call,
    database: Database,
    launchpad: LaunchPad,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = database.write_configuration(tmp_path / "config")
    root = tmp_path / "run"
    root.mkdir()
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(config / "jobflow.yaml"))
    monkeypatch.setenv("NEXTRUNG_ROOT", str(root))
    monkeypatch.chdir(root)
    page = tmp_path / "page.html"
    line = ("benchmark", "chgnet-r2scan", *FAST, "--submit", "-c", config, "-o", page)

    lost = call(*line)
    submitted = call(*line, root=str(root))
    worker = Path(sys.executable).parent / "rlaunch"
    file = config / "my_launchpad.yaml"
    subprocess.run([worker, "-l", file, "rapidfire"], check=True)  # noqa: S603
    written = call(*line, root=str(root))

    assert "expected $NEXTRUNG_ROOT to be an absolute path" in lost.errors
    assert "study benchmark is workflow 1: 1 jobs" in submitted.output
    assert launchpad.get_fw_by_id(1).spec["_category"] == "gpu"
    assert written.code == 0, written.errors
    assert "1 potential against experiment" in page.read_text()


def test_without_a_run_folder_nothing_else_is_left(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = call("benchmark", "chgnet-r2scan", *FAST)

    assert ended.code == 0, ended.errors
    assert {file.name for file in tmp_path.iterdir()} == {
        "benchmark.html",
        "benchmark.json",
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("nope",), "nope"),
        (("chgnet-r2scan", "chgnet-r2scan"), "potential once, got chgnet-r2scan twice"),
        (
            ("chgnet-r2scan", "--property", "price"),
            r"'formation_enthalpy', got 'price'",
        ),
        (("chgnet-r2scan", "--crystal", "salt"), r"among .*, got salt"),
        (("chgnet-r2scan", "-o", "page.pdf"), r"ends in \.html, got page\.pdf"),
        (("chgnet-r2scan", "--frames", "none"), "a file or a folder, got no none"),
        (("chgnet-r2scan", "-c", "here"), "-c: expected --submit beside it"),
        (("chgnet-r2scan", "--submit", "--root", "a"), "--root: expected no --submit"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(
    call: Call, line: tuple[str, ...], message: str
) -> None:
    ended = call("benchmark", *line)

    assert ended.code == 2
    assert re.search(message, ended.errors), ended.errors
    assert ended.errors.count("\n") == 1
