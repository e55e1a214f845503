"""The command line."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from nextrung.cli import study
from nextrung.schemas.base import InputError

app = typer.Typer(
    help="Take a universal interatomic potential to a better DFT functional.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (study.run, study.results, study.report, study.status):
    app.command()(command)


def main() -> None:
    """Run the command line; unusable input is one line and exit code 2."""
    try:
        app()
    except InputError as error:
        line = " ".join(str(error).split())
        Console(stderr=True).print(
            f"nextrung: {line}",
            style="red",
            markup=False,
            soft_wrap=True,
            highlight=False,
        )
        sys.exit(2)
