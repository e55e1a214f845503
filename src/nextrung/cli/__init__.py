"""The command line.

Modules of commands import only what signatures need; what computes is imported when a
command is called, so that help and completion take a fraction of a second.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Annotated

import typer
from pydantic import ValidationError

from nextrung import __version__
from nextrung.cli import (
    benchmark,
    cluster,
    data,
    physics,
    potentials,
    provenance,
    queries,
    recipes,
    scores,
    setup,
    status,
    study,
    training,
)
from nextrung.cli.labels.command import label
from nextrung.cli.labels.improve import improve
from nextrung.cli.running import PlainConsole, describe_invalid, opened
from nextrung.schemas.base import InputError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    """Print the version and stop."""
    if wanted:
        typer.echo(f"nextrung {__version__}")
        raise typer.Exit


@app.callback()
def _take_options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Take a universal interatomic potential to a better DFT functional."""


_COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Studies": (
        study.preflight,
        study.run,
        recipes.compare_recipes,
        study.report,
        improve,
        status.status,
    ),
    "Results": (queries.results, queries.build, provenance.provenance),
    "Clusters": (setup.init, cluster.doctor, cluster.submit),
    "Stages": (
        label,
        training.fine_tune,
        potentials.evaluate,
        potentials.relax,
        potentials.density,
        physics.physics,
        benchmark.benchmark,
        potentials.models,
    ),
}
for panel, commands in _COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
for name, group in (
    ("dataset", data.dataset),
    ("atom-refs", training.atom_refs),
    ("stability", scores.stability),
    ("scaling", scores.scaling),
):
    app.add_typer(group, name=name, rich_help_panel="Stages")


def _show_warning(message: Warning | str, *_where: object) -> None:
    """Print a warning as one line, without the place in the code."""
    _print_line(f"note: {message}", "yellow")


def _print_line(text: str, style: str) -> None:
    """Print one line to standard error, without credentials."""
    from nextrung.adapters.connections import redact_credentials

    line = redact_credentials(" ".join(text.split()))
    PlainConsole(stderr=True, soft_wrap=True, highlight=False).print(
        f"nextrung: {line}", style=style
    )


def _name_variable(field: str) -> str:
    """Name the environment variable of a setting of the machine."""
    return f"$NEXTRUNG_{field.upper()}"


def main() -> None:
    """Run the command line; unusable input is one line and exit code 2."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)  # in jobflow
    try:
        app()
    except InputError as error:
        _print_line(str(error), "red")
        sys.exit(2)
    except ValidationError as error:
        if error.title != "MachineSettings":
            raise
        _print_line(describe_invalid(error, _name_variable), "red")
        sys.exit(2)
    finally:
        opened.close()
