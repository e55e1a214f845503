"""Compiled code that is there before the first worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.cluster.checks.compilation import compile_functions

if TYPE_CHECKING:
    from pathlib import Path

#: The first hull of a worker, in s of its processor, after the imports.
FIRST_HULL = """\
import time
from nextrung.adapters.cluster.checks.compilation import compile_functions
started = time.process_time()
compile_functions()
print(time.process_time() - started)
"""


def run(cache: Path, *arguments: str) -> str:
    """Run Python with a folder of compiled code; return what it printed."""
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.slow
def test_the_first_hull_of_a_worker_takes_less_than_two_seconds(
    tmp_path: Path,
) -> None:
    command = "import sys; sys.argv = ['nextrung', 'doctor', '--warm']; "
    command += "from nextrung.cli import main; main()"

    warmed = run(tmp_path / "numba", "-c", command)

    assert re.match(r"ok   compiled code: ready after [\d.]+ s, ", warmed)
    assert float(run(tmp_path / "numba", "-c", FIRST_HULL)) < 2
    written = {file.name.partition("-")[0] for file in tmp_path.rglob("*.nbc")}
    assert {"hull_decompositions._fill", "json_split._find_ends"} <= written


def test_a_folder_that_cannot_be_written_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "numba"))

    found = compile_functions()

    assert found.level == "fail"
    assert "cannot be written" in found.found
