from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nextrung.atomic_write import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from nextrung.atomic_write import atomic_write
with atomic_write(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")

    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.name == path.name

    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")

    with pytest.raises(OSError, match="disk full"), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")

    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, path], check=False)  # noqa: S603

    assert path.read_text() == "old"


def test_a_block_that_writes_nothing_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.json"

    with atomic_write(path):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="missing"),
        atomic_write(tmp_path / "missing" / "results.json"),
    ):
        pass
