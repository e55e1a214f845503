"""Stages as jobs of a run folder: nothing is computed twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from chgnet.model import CHGNet

from nextrung.adapters.stores.job_store import find_documents, open_embedded_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

#: Jobs of each stage, and how many of them plan others, which is done every time.
STAGES = {
    "evaluate": (("evaluate", "frames.parquet"), 3, 0),
    "relax": (("relax", "crystals/salt.cif", "--max-steps", "2"), 5, 1),
    "density": (("density", "--crystals", "crystals"), 2, 0),
    "physics": (
        ("physics", "--crystal", "NaCl rocksalt", "--test", "equation_of_state"),
        2,
        0,
    ),
    "atom-refs": (("atom-refs", "fit", "frames.parquet"), 3, 0),
    "fine-tune": (("fine-tune", "frames.parquet", "--epochs", "1"), 4, 0),
}


@pytest.mark.usefixtures("frames_file", "salt_file")
@pytest.mark.parametrize(("command", "n_jobs", "n_plans"), STAGES.values(), ids=STAGES)
def test_a_second_call_is_answered_from_the_store(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    n_jobs: int,
    n_plans: int,
) -> None:
    monkeypatch.chdir(tmp_path)

    first = call(*command, "--root", "run")
    again = call(*command, "--root", "run")

    assert first.code == again.code == 0, first.errors
    assert f"{n_jobs} jobs computed, 0 answered" in first.output
    answered = n_jobs - n_plans
    assert f"{n_plans} jobs computed, {answered} answered from" in again.output
    start = first.output.index("job: ")
    assert first.output[start:] == again.output[again.output.index("job: ") :]


def test_documents_have_their_provenance(
    call: Call, frames_file: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    shown = call("evaluate", frames_file, "--root", root, "--device", "cpu")
    uuid = shown.output.partition("job: ")[2].split()[0]

    graph = json.loads(call("provenance", root, uuid, "--json").output)

    names = {node["name"] for node in graph["nodes"].values()}
    assert names == {"evaluate", "load", "read frames"}
    documents = find_documents(open_embedded_store(root), {})
    assert len(documents) == 3


def test_scores_are_those_without_a_run_folder(
    call: Call, frames_file: Path, tmp_path: Path
) -> None:
    options = ("evaluate", frames_file, "--model", "chgnet-0.3.0", "-o")
    call(*options, tmp_path / "a.csv")
    call(*options, tmp_path / "b.csv", "--root", tmp_path / "run")

    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_relaxations_are_those_without_a_run_folder(
    call: Call, salt_file: Path, tmp_path: Path
) -> None:
    options = ("relax", salt_file, "--fix-symmetry", "--max-steps", 3, "-o")
    call(*options, tmp_path / "a.csv")
    call(*options, tmp_path / "b.csv", "--root", tmp_path / "run")

    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


@pytest.mark.parametrize("method", ["frozen_atom_refs", "scratch"])
def test_a_model_of_a_run_folder_is_a_checkpoint_too(
    call: Call, frames_file: Path, tmp_path: Path, method: str
) -> None:
    file = tmp_path / "tuned.pth.tar"
    options = ("--method", method, "--epochs", 1, "--precision", "float64")

    tuned = call(
        "fine-tune", frames_file, *options, "--root", tmp_path / "run", "-o", file
    )

    assert tuned.code == 0, tuned.errors
    assert "best epoch 1" in tuned.output
    assert CHGNet.from_file(str(file)).n_params > 0


def test_a_frames_file_that_is_not_there_is_one_line(
    call: Call, tmp_path: Path
) -> None:
    ended = call("evaluate", tmp_path / "none.parquet", "--root", tmp_path / "run")

    assert ended.code == 2
    assert "expected a frames file, got no" in ended.errors
    assert ended.errors.count("\n") == 1
