"""The command line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import typer
from rich.console import Console

from nextrung.cli import (
    cluster,
    data,
    doctor,
    labels,
    potentials,
    provenance,
    queries,
    scores,
    setup,
    status,
    study,
)
from nextrung.cli.running import opened
from nextrung.schemas.base import InputError

app = typer.Typer(
    help="Take a universal interatomic potential to a better DFT functional.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Studies": (study.preflight, study.run, study.report, status.status),
    "Results": (queries.results, queries.build, provenance.provenance),
    "Clusters": (setup.init, doctor.doctor, cluster.submit),
    "Stages": (
        labels.label,
        potentials.fine_tune,
        potentials.evaluate,
        potentials.relax,
        potentials.density,
    ),
}
for panel, commands in _COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
for name, group in (
    ("dataset", data.dataset),
    ("atom-refs", data.atom_refs),
    ("stability", scores.stability),
    ("scaling", scores.scaling),
):
    app.add_typer(group, name=name, rich_help_panel="Stages")


def _show_warning(message: Warning | str, *_where: object) -> None:
    """Say a warning in one line; where in the code it was given helps no user."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"nextrung: note: {message}", style="yellow", markup=False
    )


def main() -> None:
    """Run the command line; unusable input is one line and exit code 2."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)  # in jobflow
    try:
        app()
    except InputError as error:
        line = " ".join(str(error).split())
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"nextrung: {line}", style="red", markup=False
        )
        sys.exit(2)
    finally:
        opened.close()
