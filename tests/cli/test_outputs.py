"""Files that evaluate, relax and density write, and what they are refused for."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, get_args

import pyarrow.parquet as pq
import pytest
from ase.io import read
from pymatgen.core import Structure

from nextrung.cli.potentials import Cell, Engine
from nextrung.cli.scores import CompetitorsName
from nextrung.cli.training import Method
from nextrung.schemas.models import RECIPES, Trained
from nextrung.schemas.relaxation import CellDegrees, RelaxationEngine
from nextrung.schemas.stability import Competitors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]


def test_choices_are_those_of_the_records() -> None:
    trained = [m for m, made in RECIPES.items() if made.trained is not Trained.NOTHING]
    assert get_args(Method) == tuple(trained)
    assert get_args(Engine) == tuple(RelaxationEngine)
    assert get_args(Cell) == tuple(CellDegrees)
    assert get_args(CompetitorsName) == tuple(Competitors)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of any kind of file."""
    match path.suffix:
        case ".csv":
            with path.open(newline="") as file:
                return list(csv.DictReader(file))
        case ".json":
            rows: list[dict[str, Any]] = json.loads(path.read_text())
            return rows
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
    table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return table


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_rows_of_an_evaluation_have_errors_or_a_reason(
    call: Call, odd_frames: Path, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"rows{suffix}"

    assert call("evaluate", odd_frames, "-o", file).code == 0

    good, bad = read_rows(file)
    assert good["frame_id"] == "salt"
    assert float(good["predicted_energy_per_atom"]) == pytest.approx(-6.8, abs=0.1)
    assert not good["error"]
    assert bad["frame_id"] == "lonely"
    assert not bad["predicted_energy_per_atom"]
    assert "isolated" in bad["error"]


def test_predictions_are_written_beside_labels(
    call: Call, odd_frames: Path, tmp_path: Path
) -> None:
    file = tmp_path / "predicted.extxyz"

    call("evaluate", odd_frames, "-o", file)

    good, bad = read(file, index=":")
    predicted = good.info["predicted_energy"]
    assert predicted == pytest.approx(good.get_potential_energy(), abs=1e-4)
    assert "isolated" in bad.info["error"]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_densities_are_rows(
    call: Call, salt_file: Path, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"rows{suffix}"

    assert call("density", "--crystals", salt_file.parent, "-o", file).code == 0

    (row,) = read_rows(file)
    assert row["crystal_id"] == "salt"
    assert float(row["predicted_density"]) > 0


def test_relaxed_structures_are_files_of_many_kinds(
    call: Call, salt_file: Path, tmp_path: Path
) -> None:
    relax = ("relax", salt_file, "--fmax", 1e-6, "--max-steps", 2, "--cell", "fixed")
    for name in ("a.extxyz", "a.cif", "folder", "a.csv", "a.parquet"):
        assert call(*relax, "-o", tmp_path / name).code == 0

    lattice = Structure.from_file(salt_file).lattice
    for cif in ("a.cif", "folder/salt.cif"):
        written = Structure.from_file(tmp_path / cif)
        assert written.lattice.abc == pytest.approx(lattice.abc)
    assert read(tmp_path / "a.extxyz").info["material_id"] == "salt.cif"
    for rows in ("a.csv", "a.parquet"):
        (row,) = read_rows(tmp_path / rows)
        assert row["status"] == "max_steps"
        assert int(row["n_steps"]) == 2


def test_no_file_is_written_unasked(
    call: Call, salt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEXTRUNG_ROOT", raising=False)
    labels = tmp_path / "labels.extxyz"
    labels.write_text(
        '2\nLattice="3.5 0 0 0 3.5 0 0 0 3.5" '
        "Properties=species:S:1:pos:R:3:forces:R:3 energy=-13.5 "
        'stress="0 0 0 0 0 0 0 0 0" material_id=a frame_id=a\n'
        "Na 0 0 0 0 0 0\nCl 1.75 1.75 1.75 0 0 0\n"
    )
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    assert call("relax", salt_file, "--max-steps", 1).code == 0
    assert call("density", "--crystals", salt_file.parent).code == 0
    assert call("evaluate", labels).code == 0
    assert not list((tmp_path / "empty").iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("evaluate", "none", "-o", "a.doc"), "ends in .extxyz, .csv, .json, .jsonl"),
        (("relax", "none", "-o", "a.doc"), "ends in .extxyz, .cif, .csv, .json"),
        (("density", "-o", "a.extxyz"), "ends in .csv, .json, .jsonl, .parquet, got"),
        (("density", "-o", "no/a.csv"), "--output: expected a folder at no, got none"),
        (("fine-tune", "none", "-o", "no/a"), "--output: expected a folder at no"),
        (("relax", "none", "--fmax", "-1"), "--fmax: input should be greater than 0"),
        (("relax", "none", "--fmax", "nan"), "--fmax: input should be a finite number"),
        (("relax", "none", "--max-steps", "-1"), "--max-steps: input should be"),
        (("fine-tune", "none", "--epochs", "-1"), "--epochs: input should be"),
        (("fine-tune", "none", "--batch-size", "0"), "--batch-size: input should be"),
        (("fine-tune", "none", "--learning-rate", "nan"), "--learning-rate: input"),
        (("fine-tune", "none", "--learning-rate", "1e-9"), "final_learning_rate 1e-05"),
        (("fine-tune", "none", "--seed", "-1"), "--seed: input should be"),
        (("fine-tune", "none", "--n-train-frames", "0"), "--n-train-frames: input"),
        (("relax", "a.cif", "a.cif"), "expected every structure once, got a.cif twice"),
    ],
)
def test_unusable_options_are_one_line_before_anything_is_read(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = call(*arguments)

    assert ended.code == 2
    assert line in ended.errors
    assert ended.errors.count("\n") == 1
    assert not list(tmp_path.iterdir())
