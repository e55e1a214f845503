from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from chgnet.model import CHGNet

from nextrung.adapters.files.frames import read_frames, write_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

STUDY: dict[str, Any] = {
    "dataset": {
        "source": {
            "kind": "distilled",
            "chemical_systems": ["Mg-O"],
            "n_materials_per_system": 6,
            "n_polymorphs_per_element": 1,
            "n_frames_per_material": 2,
            "max_atoms": 4,
            "fmax": 0.3,
        },
        "split": {"val": 0.2, "test": 0.2},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    (made / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return made


@pytest.fixture
def frames_file(call: Call, folder: Path) -> Path:
    """The frames of the study, built once."""
    assert call("dataset", "build", folder / "study.yaml", "--root", folder).code == 0
    (file,) = (folder / "artifacts" / "frames").iterdir()
    return file


def test_build_says_what_was_kept_and_where(
    call: Call, folder: Path, frames_file: Path
) -> None:
    again = call("dataset", "build", folder / "study.yaml", "--root", folder)

    assert "answered from the store" in again.output
    assert str(frames_file) in again.output.replace("\n", "")


def test_info_counts_the_frames_of_each_split(call: Call, frames_file: Path) -> None:
    shown = call("dataset", "info", frames_file).output

    assert all(split in shown for split in ("train", "val", "test"))
    assert "energy all, forces all, stress all, magmoms all" in shown


def test_info_says_which_labels_frames_lack(
    call: Call, frames_file: Path, tmp_path: Path
) -> None:
    frames = read_frames(frames_file)
    forces = frames.forces.copy()
    forces[: frames.offsets[1]] = np.nan
    stresses = np.full_like(frames.stresses, np.nan)
    some = replace(frames, forces=forces, stresses=stresses)
    write_frames(some, tmp_path / "some.parquet")

    shown = call("dataset", "info", tmp_path / "some.parquet").output

    assert f"energy all, forces {len(frames) - 1}, stress none" in shown


def test_an_audit_names_what_differs_and_what_cannot_be_read(
    call: Call, tmp_path: Path, outcar: Callable[..., str]
) -> None:
    """Two runs of NaCl, one with a Hubbard U, and a file that is none."""
    hubbard = "   U (eV)           for each species LDAUU =   0.0  3.5"
    texts = {"a": outcar(), "b": outcar(hubbard=hubbard), "c": "no OUTCAR"}
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "OUTCAR").write_text(text)

    shown = call("dataset", "audit", tmp_path)
    found = json.loads(call("dataset", "audit", tmp_path, "--json").output)

    assert shown.code == 0
    assert "3 files: 2 read as a run, 1 unreadable, 0 second outputs" in shown.output
    assert "2 runs of 4 frames" in shown.output
    assert "mixture: hubbard_u Cl: 0 eV (1), 3.5 eV (1); 0 meV/atom" in shown.output
    twins = f"{tmp_path.name}/a (r2SCAN), {tmp_path.name}/b (r2SCAN)"
    assert f"same crystal: {twins}" in shown.output
    assert found["n_unreadable"] == {"incomplete_file": 1}
    assert found["files"]["n_files"] == found["n_runs"] + 1


def test_garbled_frames_are_one_line_and_exit_code_2(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "frames.parquet").write_bytes(b"nonsense")

    ended = call("dataset", "info", tmp_path / "frames.parquet")

    assert ended.code == 2
    assert ended.errors.count("\n") == 1


@pytest.mark.parametrize("kind", ["refit", "residual", "none"])
def test_moved_references_are_saved_with_the_potential(
    call: Call, frames_file: Path, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "moved.pth.tar"

    shown = call("atom-refs", "fit", frames_file, "--kind", kind, "-o", file)

    assert shown.code == 0
    assert "Mg" in shown.output
    assert ("left-out materials: MAE" in shown.output) is (kind == "residual")
    assert CHGNet.from_file(str(file)).n_params > 0


def test_an_element_without_frames_is_listed_with_the_reference_of_the_prior(
    call: Call, frames_file: Path
) -> None:
    of_prior = "atom-refs", "fit", frames_file, "--unseen-elements", "prior"

    shown = call(*of_prior, "--kind", "residual")
    refused = call(*of_prior)

    (cobalt,) = (line for line in shown.output.splitlines() if "Co " in line)
    assert "prior" in cobalt
    assert refused.code == 2
    assert "only kind: residual has a prior" in refused.errors
