"""Every bad input is one line and exit code 2, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from tests.cli.bad_inputs import VALID, list_bad_inputs, make_files, write_study
from tests.cli.test_study import QUICK
from tests.stored_study import store_study

from nextrung.adapters.files.frames import write_frames
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.cli import app
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymatgen.core import Structure
    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

BAD_INPUTS = list_bad_inputs()

#: Variables of the environment that stand for options.
VARIABLES = ("NEXTRUNG_CONFIG", "JOBFLOW_CONFIG_FILE", "FW_CONFIG_FILE")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, salt: Structure) -> Path:
    """A folder of right and wrong files."""
    folder = tmp_path_factory.mktemp("site")
    make_files(folder)
    write_study(folder / "study.yaml", QUICK)
    salt.to(str(folder / "salt.cif"))
    frames = Frames.from_structures([salt] * 6, list("abcdef"), functional="r2SCAN")
    frames.energies[:] = -5
    splits = np.array(["train", "train", "train", "train", "val", "test"])
    write_frames(frames.with_splits(splits), folder / "frames.parquet", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(folder / "run"))
        store_study(make_embedded_store(folder / "run"), folder / "run")
    return folder


def list_files(folder: Path) -> set[Path]:
    """List all files but those of the store, to which commands add collections."""
    return {path for path in folder.rglob("*") if "store" not in path.parts}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_a_bad_input_is_one_line_and_exit_code_2(
    call: Call, site: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    before = list_files(site), list_files(Path.cwd())
    arguments = [part.replace("@", f"{site}/") for part in BAD_INPUTS[name]]

    ended = call(*arguments)

    assert (ended.code, ended.output) == (2, "")
    assert "Traceback" not in ended.errors
    if not ended.errors.startswith("Usage: "):
        assert ended.errors.startswith("nextrung: ")
        assert ended.errors.count("\n") == 1
    assert (list_files(site), list_files(Path.cwd())) == before


def list_commands(group: Any, above: str = "") -> list[str]:  # noqa: ANN401
    """List the commands of a group of click and of the groups in it."""
    return [
        name
        for word, command in group.commands.items()
        for name in (
            list_commands(command, f"{above}{word} ")
            if hasattr(command, "commands")
            else [f"{above}{word}"]
        )
    ]


def test_every_command_has_bad_inputs_and_there_are_hundreds() -> None:
    assert sorted(VALID) == sorted(list_commands(typer.main.get_command(app)))
    for command in VALID:
        words = tuple(command.split())
        assert any(line[: len(words)] == words for line in BAD_INPUTS.values())
    assert len(BAD_INPUTS) >= 240
