"""Hostile files run no code, connect nowhere, and write nothing elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.hostile_files import list_hostile, make_files

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Runs commands in one process, whose system calls it listens to.
SCRIPT = """
import contextlib, io, json, os, re, sys
from pathlib import Path
import requests
from nextrung.cli import main
from nextrung.potentials.registry import load_potential
load_potential("chgnet-r2scan", "cpu")
allowed, given, heard = sys.argv[1], json.loads(sys.stdin.read()), []

def is_outside(path):
    if isinstance(path, int) or path is None:
        return False
    path = os.path.realpath(os.fsdecode(path))
    return not path.startswith((allowed, "/dev/", "/proc/self"))

def listen(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = any(c in (mode or "") for c in "wax+") or (flags or 0) & os.O_CREAT
        if writes and is_outside(path):
            heard.append([event, str(path)])
    elif event in {"os.mkdir", "os.remove", "os.rmdir", "os.chmod", "sqlite3.connect"}:
        if is_outside(arguments[0]):
            heard.append([event, str(arguments[0])])
    elif event in {"os.rename", "os.link", "os.symlink"}:
        if is_outside(arguments[1]):
            heard.append([event, str(arguments[1])])
    elif event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "os.system",
                   "os.exec", "os.posix_spawn", "subprocess.Popen"}:
        if arguments[0] != "git":  # of the provenance of jobs
            heard.append([event, repr(arguments)[:200]])
    elif event == "import" and arguments[0].split(".")[0] == "harmful":
        heard.append([event, arguments[0]])

sys.addaudithook(listen)
ended = {}
for name, line in given:
    heard.clear()
    sys.argv = ["nextrung", *line]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as exited:
            code = exited.code or 0
        except BaseException as error:
            code = repr(error)
    # VmHWM begins at this program; ru_maxrss would be at least that of its parent.
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 2**20
    ended[name] = [code, out.getvalue(), err.getvalue(), list(heard), peak]
print(json.dumps(ended))
"""

#: Memory in GiB that no file may make the process take.
LIMIT = 2.5

Ended = dict[str, Any]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, salt: Structure) -> Ended:
    """What became of the commands on all hostile files."""
    folder = tmp_path_factory.mktemp("hostile")
    content = salt.as_dict(), salt.to(fmt="cif")
    make_files(folder, content[1])
    given = list(list_hostile(folder, *content))
    (folder / "tmp").mkdir()
    environment = {
        name: value for name, value in os.environ.items() if "NEXTRUNG" not in name
    }
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", SCRIPT, str(folder)],
        input=json.dumps(given),
        cwd=folder,
        env=environment
        | {
            "TMPDIR": str(folder / "tmp"),
            "HOME": str(folder),
            "NUMBA_CACHE_DIR": str(folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    found: Ended = json.loads(done.stdout.splitlines()[-1])
    return found


def test_no_hostile_file_runs_code_connects_or_writes_elsewhere(ended: Ended) -> None:
    heard = {name: events for name, (*_, events, _) in ended.items() if events}

    assert heard == {}
    assert not Path("/tmp/nextrung-was-here").exists()  # noqa: S108 - of Harmful
    assert len(ended) >= 30


def test_every_hostile_file_is_a_row_or_one_line(ended: Ended) -> None:
    for name, (code, shown, errors, _, _) in ended.items():
        assert code in {0, 2}, (name, code, errors)
        lines = [line for line in errors.splitlines() if ": note: " not in line]
        assert len(lines) == (code == 2), (name, errors)
        assert shown if code == 0 else lines[0].startswith("nextrung: "), name


def test_no_hostile_file_fills_the_memory(ended: Ended) -> None:
    assert max(peak for *_, peak in ended.values()) < LIMIT


def test_names_are_shown_as_they_are_without_control_characters(ended: Ended) -> None:
    assert "[mp]-1.cif" in ended["[mp]-1.cif"][1]
    assert "[red]name[/b]<script>" in ended["entries-escapes.json"][1]
    for name, (_, shown, errors, _, _) in ended.items():
        assert "\x1b" not in shown + errors, name


def test_a_harmless_file_is_heard_where_it_writes(tmp_path: Path) -> None:
    """The watch itself works: a command that writes outside the folder is heard."""
    (tmp_path / "allowed").mkdir()
    code = SCRIPT.replace(
        "    heard.clear()\n",
        "    heard.clear()\n    open('outside', 'w').close()\n    os.system('true')\n",
    )

    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code, str(tmp_path / "allowed")],
        input=json.dumps([["a", ["--version"]]]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    events = [event for event, _ in json.loads(done.stdout.splitlines()[-1])["a"][3]]
    assert events == ["open", "os.system"]
