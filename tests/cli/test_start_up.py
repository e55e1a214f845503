"""What the command line answers before it loads anything that computes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import nextrung

HEAVY = {
    "ase",
    "atomate2",
    "chgnet",
    "fireworks",
    "jobflow",
    "maggma",
    "plotly",
    "pyarrow",
    "pymatgen",
    "torch",
}

#: Asks for the help of every command in one process, then names what was imported.
ASK_ALL = f"""
import contextlib, io, sys, typer
from nextrung.cli import app

def list_commands(group, words=()):
    yield words
    for name, command in getattr(group, "commands", {{}}).items():
        yield from list_commands(command, (*words, name))

asked = [*list_commands(typer.main.get_command(app))]
for words in [*asked, ("--version",)]:
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        try:
            app([*words] if "--version" in words else [*words, "--help"])
        except SystemExit as ended:
            assert ended.code == 0, words
    assert shown.getvalue()
print(len(asked), sorted({HEAVY} & set(sys.modules)))
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env=os.environ | environment,
    )
    return done.stdout


def test_help_and_version_import_nothing_that_computes() -> None:
    n_commands, imported = run(ASK_ALL).split(maxsplit=1)

    assert int(n_commands) > 20
    assert imported.strip() == "[]"


def complete(line: str) -> set[str]:
    """What a shell offers after a line, as it asks for it."""
    code = "import sys; sys.argv[0] = 'nextrung'; from nextrung.cli import main; main()"
    place = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return set(run(code, _NEXTRUNG_COMPLETE="complete_bash", **place).split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("nextrung re", {"relax", "report", "results"}),
        ("nextrung stability ", {"plot", "score"}),
        ("nextrung relax --engine ", {"ase", "batched"}),
    ],
)
def test_shells_complete_commands_and_choices(line: str, offered: set[str]) -> None:
    assert complete(line) == offered


def test_the_version_is_that_of_the_package() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--version']; import nextrung.cli as c; c.main()"
    )

    assert run(code).strip() == f"nextrung {nextrung.__version__}"
