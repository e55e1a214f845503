from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from ase.io import write
from monty.json import MontyDecoder

from nextrung.makers.jobs import models
from nextrung.potentials.relaxation import parallel
from nextrung.potentials.relaxation.checks import record_failure
from nextrung.schemas.relaxation import RelaxationRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pymatgen.core import Structure
    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]


def test_potential_reproduces_its_own_labels(call: Call, frames_file: Path) -> None:
    shown = call("evaluate", frames_file, "--model", "chgnet-r2scan")

    rows = [line.split("│") for line in shown.output.splitlines() if "│" in line]
    splits = {row[1].strip(): row[4].strip() for row in rows}
    assert splits == {"all": "0.0", "train": "0.0", "val": "0.0", "test": "0.0"}


def test_fluorides_have_the_published_errors(call: Call, real_data: Path) -> None:
    folder = real_data / "r2scan-tm-fluorides" / "R2SCAN"

    shown = call("evaluate", folder, "--model", "chgnet-r2scan")

    (row,) = (
        line.split("│")
        for line in shown.output.splitlines()
        if line.startswith("│ all")
    )
    assert row[2].strip() == "85"
    assert float(row[4]) == pytest.approx(16.0, abs=0.3)
    assert float(row[5]) == pytest.approx(44.2, abs=0.3)


def test_bad_labels_are_scored_and_what_is_left_out_is_counted(
    call: Call, tmp_path: Path, outcar: Callable[..., str]
) -> None:
    """Energies of -4 eV/atom are far off NaCl's; that is for the reader to see."""
    texts = {"a": outcar(), "b": outcar(metagga=" METAGGA = SCAN"), "c": "no OUTCAR"}
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "OUTCAR").write_text(text)

    ended = call("evaluate", tmp_path)

    assert ended.code == 0
    (row,) = [line.split() for line in ended.output.splitlines() if "all" in line]
    assert row[3] == "2"
    assert "3 files: 2 read as a run, 1 unreadable, 0 second outputs" in ended.output
    assert "5 frames or unreadable files: 2 kept, 3 left out: " in ended.output


def test_energies_alone_are_scored(call: Call, tmp_path: Path, salt: Structure) -> None:
    atoms = salt.to_ase_atoms()
    atoms.info = {"energy": -7.0, "frame_id": "a", "material_id": "a"}
    write(tmp_path / "energies.xyz", atoms)

    ended = call("evaluate", tmp_path / "energies.xyz")

    assert ended.code == 0
    (row,) = [line.split() for line in ended.output.splitlines() if "all" in line]
    assert row.count("–") == 3


def test_fine_tuning_writes_what_evaluate_reads(
    call: Call, frames_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tuned.pth.tar"

    tuned = call("fine-tune", frames_file, "--epochs", 1, "--batch-size", 2, "-o", file)

    assert tuned.code == 0
    assert "best epoch 1" in tuned.output
    assert call("evaluate", frames_file, "--model", file).code == 0


def test_untrained_method_is_refused(call: Call, frames_file: Path) -> None:
    ended = call("fine-tune", frames_file, "--method", "source_refit")

    assert ended.code == 2
    assert "Invalid value for '--method'" in ended.errors
    assert "residual_atom_refs" in ended.errors


@pytest.mark.parametrize("engine", ["batched", "ase"])
def test_relaxed_structures_are_written(
    call: Call, tmp_path: Path, salt: Structure, engine: str
) -> None:
    salt.to(str(tmp_path / "salt.cif"))
    output = tmp_path / "relaxed.json"

    shown = call("relax", tmp_path / "salt.cif", "--engine", engine, "-o", output)

    (record,) = json.loads(output.read_text(), cls=MontyDecoder).values()
    assert isinstance(record, RelaxationRecord)
    assert record.status == "converged"
    assert "converged" in shown.output


def test_relaxation_uses_the_processes_of_the_machine(
    call: Call, tmp_path: Path, salt: Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def relax(
        _load: object,
        structures: list[Structure],
        *_: object,
        n_processes: int,
        **__: object,
    ) -> list[RelaxationRecord]:
        used.append(n_processes)
        return [record_failure("not tried")] * len(structures)

    monkeypatch.setattr(parallel, "relax_in_isolation", relax)
    monkeypatch.setattr(models, "STRUCTURES_PER_PROCESS", {"cpu": parallel.MIN_SHARE})
    monkeypatch.setenv("NEXTRUNG_N_PROCESSES", "2")
    files = [tmp_path / f"{index}.cif" for index in range(2 * parallel.MIN_SHARE)]
    for file in files:
        salt.to(str(file))

    assert call("relax", *files, "--device", "cpu").code == 0
    assert used == [2]


def test_unreadable_structure_is_one_line_and_exit_code_2(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "a.cif").write_text("nonsense")

    ended = call("relax", tmp_path / "a.cif")

    assert ended.code == 2
    assert ended.errors.count("\n") == 1


def test_density_of_cifs_is_compared(
    call: Call, tmp_path: Path, salt: Structure
) -> None:
    salt.to(str(tmp_path / "salt.cif"))

    shown = call("density", "--crystals", tmp_path)

    assert shown.code == 0
    assert "MAE" in shown.output
