"""Run folders of other people: readable, without write permission."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.stored_study import store_study

from nextrung.adapters.stores.job_store import make_embedded_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What makes root obey permissions, as other users do.
OBEY = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run folder with a finished study, without write permission."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere, and setpriv is missing")
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(root))
        store_study(make_embedded_store(root), root)
    paths = [root, *root.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield root
    for path in paths:
        path.chmod(0o755)


#: Calls commands in one process, and prints what each of them printed.
SCRIPT = """
import contextlib, io, json, sys
from nextrung.cli import main
ended = []
for line in json.loads(sys.argv[1]):
    sys.argv = ["nextrung", *line]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as exited:
            code = exited.code or 0
    ended.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(ended))
"""

READING = {
    ("results", "@"): "labels: distilled from chgnet-r2scan",
    ("results", "@", "--collection", "stability", "--json"): "decomposition",
    ("status", "@"): "make study",
    ("provenance", "@", "source"): "materials",
    ("report", "@", "-o", "report.html"): "report: ",
}


def test_a_run_folder_without_write_permission_is_read_and_nothing_runs_in_it(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text("dataset: {source: {kind: distilled}}")
    lines = [*READING, ("run", "study.yaml", "--root", "@")]
    given = [[str(folder) if word == "@" else word for word in line] for line in lines]
    obey = OBEY if os.geteuid() == 0 else ()

    done = subprocess.run(  # noqa: S603 - this interpreter
        [*obey, sys.executable, "-c", SCRIPT, json.dumps(given)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    *read, (code, _, errors) = json.loads(done.stdout)
    for ended, shown in zip(read, READING.values(), strict=True):
        assert (ended[0], ended[2]) == (0, "")
        assert shown in ended[1]
    assert (tmp_path / "report.html").is_file()
    assert code == 2
    assert errors.startswith("nextrung: expected a store that answers, got: ")
    assert errors.count("\n") == 1
